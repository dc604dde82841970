"""What a model file holds. A new field of a model that is an array is an entry here."""

from cosmoinfer.posterior.file import PARAMETER_ATTRIBUTES
from cosmoinfer.storage import Dataset, Schema

SCHEMA = Schema(
    "model",
    "`cosmoinfer train-flow`, `train-regressor`, `train-density`, `ensemble`, `tune`. A model that another one"
    " needs lies in a group of its own with the same datasets: `/summary` (the regressor "
    "that conditions a flow), `/initialised_from` (by which a fine-tuned one began)",
    {
        "config": Dataset(
            "()",
            "JSON: kind of model, networks, observables, fingerprint of the catalog, temperature; `race`: of each "
            "candidate architecture, support, log_prob and error of its pilot, pilot_share, size, epochs, members, "
            "final_share; `joined`: of each flow of `ensemble`, architecture, log_prob, error, share",
            type="text",
            required=True,
        ),
        "parameters": Dataset(
            "(P,)",
            "names, with box and prior; `where`, `prior_correlation`: of a prior that is no product",
            type="text",
            required=True,
            attributes=PARAMETER_ATTRIBUTES,
        ),
        "mixture_weights": Dataset("(A,)", "probability of each member in the mixture, of all stacks"),
        r"stacks/\d+/weights/.*": Dataset(
            "(M, ...)", "weights of the members, by the name of the tensor", type="any", values="defined"
        ),
        r"stacks/\d+/history/(train|validation)": Dataset("(E, M)", "losses of each epoch"),
        r"stacks/\d+/history/learning_rate": Dataset("(E,)", "learning rate"),
        r"stacks/\d+/history/best": Dataset("(M,)", "epoch of the weights that are kept", type="whole"),
        r"inputs/\d+/standardizer/(clip|code|floor|log)": Dataset(
            "(F,) or (channels, 1, ...)", "scaling of an observable"
        ),
        r"inputs/\d+/standardizer/mean": Dataset("(F,) or (channels, 1, ...)", "of it: the shift", values="finite"),
        r"inputs/\d+/standardizer/std": Dataset("(F,) or (channels, 1, ...)", "of it: the scale", values="positive"),
        r"inputs/\d+/compression/.*": Dataset("(...)", "weights of the compression", values="finite"),
        "hashes/train/theta(_single)?": Dataset(
            "(N,)",
            "hashes of theta of the rows that the model has learned from, or was chosen by; in single precision",
            type="hash",
        ),
        "hashes/validation/theta(_single)?": Dataset(
            "(V,)",
            "hashes of theta of the rows that the model has learned from, or was chosen by; in single precision",
            type="hash",
        ),
        "hashes/train/data(_single)?": Dataset(
            "(N, 2)",
            "hashes of x, of the features with even and with odd numbers; in single precision",
            type="hash",
        ),
        "hashes/validation/data(_single)?": Dataset(
            "(V, 2)",
            "hashes of x, of the features with even and with odd numbers; in single precision",
            type="hash",
        ),
        "split/simulation": Dataset("(G,)", "ids of the simulations", type="text"),
        "split/partition": Dataset("(G,)", "0 train, 1 validation, 2 test", type="whole"),
        "ridge_estimate/weights": Dataset("(F, T)", "linear estimate of theta from x", values="finite"),
        "ridge_estimate/offset": Dataset("(T,)", "linear estimate of theta from x", values="finite"),
        "noise/root": Dataset("(D, D)", "square root of the covariance of the noise", values="finite"),
        r"ood/gaussians/\d+/mean": Dataset(
            "(F,)", "out-of-distribution detector: Gaussian fit to a space of features", values="finite"
        ),
        r"ood/gaussians/\d+/root": Dataset("(F, F)", "of it: to unit variance", values="finite"),
        r"ood/gaussians/\d+/expected": Dataset("(0, 0) or (T, F)", "of it: the size of the residuals, if compared"),
        r"ood/gaussians/\d+/level": Dataset("(0,) or (1,)", "of it: their median, if compared"),
        "ood/location": Dataset("(B,)", "standardisation of the statistics of all spaces", values="finite"),
        "ood/scale": Dataset("(B,)", "standardisation of the statistics of all spaces", values="positive"),
        "ood/scores": Dataset("(v,)", "scores of the validation rows", filled=True, values="finite"),
        "ood/shares": Dataset("(v,)", "shares of the validation rows", filled=True),
        r"ood/mmd_test/views/\d+": Dataset(
            "(m, ...)", "validation rows of the MMD test, in each view", values="finite"
        ),
        "ood/mmd_test/widths": Dataset("(K,)", "of the kernel in each view", values="positive"),
        "ood/mmd_test/simulation": Dataset("(m,)", "numbers of their simulations", type="whole"),
        r"stacks/\d+/support/shift": Dataset("(P,)", "standardisation on the real line", values="finite"),
        r"stacks/\d+/support/scale": Dataset("(P,)", "standardisation on the real line", values="positive"),
        "(condition/)?shift": Dataset(
            "(P,)", "standardisation of the parameters, of a regressor or of a density's condition", values="finite"
        ),
        "(condition/)?scale": Dataset(
            "(P,)", "standardisation of the parameters, of a regressor or of a density's condition", values="positive"
        ),
        "(kurtosis_)?typicality/coefficients": Dataset(
            "(Q,)", "expected log density of validation rows", filled=True, values="finite"
        ),
        "(kurtosis_)?typicality/residuals": Dataset("(v,)", "how they scatter", filled=True, values="finite"),
        "null_mode_noise/(mean|std)": Dataset(
            "(K,) or (C, W, ...)", "noise on modes of the data that never vary", values="finite"
        ),
        "null_mode_noise/basis": Dataset("(0, 0) or (K, K)", "of these modes; empty for maps", values="finite"),
    },
    nested=("summary", "initialised_from"),
)

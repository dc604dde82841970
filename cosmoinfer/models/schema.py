"""What a model file holds. A new field of a model that is an array is an entry here."""

from cosmoinfer.storage import Dataset, Schema

SCHEMA = Schema(
    "model",
    "`cosmoinfer train-flow`, `train-regressor`, `train-density`. A model that another one"
    " needs lies in a group of its own with the same datasets: `/summary` (the regressor "
    "that conditions a flow), `/initialised_from` (by which a fine-tuned one began)",
    {
        "config": Dataset(
            "()",
            "JSON: kind of model, networks, observables, fingerprint of the catalog, temperature",
            type="text",
            required=True,
        ),
        "parameters": Dataset(
            "(P,)",
            "names; attributes `names`, `labels`, `low`, `high`, `prior`, `prior_mean`, "
            "`prior_std`, and `where`, `prior_correlation` of a prior that is no product",
            type="text",
            required=True,
        ),
        "mixture_weights": Dataset("(M of all stacks,)", "probability of each member in the mixture"),
        r"stacks/\d+/weights/.*": Dataset("(M, ...)", "weights of the members, by the name of the tensor", type="any"),
        r"stacks/\d+/history/(train|validation)": Dataset("(E, M)", "losses of each epoch"),
        r"stacks/\d+/history/learning_rate": Dataset("(E,)", "learning rate"),
        r"stacks/\d+/history/best": Dataset("(M,)", "epoch of the weights that are kept"),
        r"inputs/\d+/standardizer/(clip|code|floor|log|mean|std)": Dataset(
            "(F,) or (channels, 1, ...)", "scaling of an observable"
        ),
        r"inputs/\d+/compression/.*": Dataset("(...)", "weights of the compression"),
        "hashes/train/theta(_single)?": Dataset(
            "(N,)", "hashes of theta of the rows that the model has learned from, or was chosen by; in single precision"
        ),
        "hashes/validation/theta(_single)?": Dataset(
            "(V,)", "hashes of theta of the rows that the model has learned from, or was chosen by; in single precision"
        ),
        "hashes/train/data(_single)?": Dataset(
            "(N, 2)", "hashes of x, of the features with even and with odd numbers; in single precision"
        ),
        "hashes/validation/data(_single)?": Dataset(
            "(V, 2)", "hashes of x, of the features with even and with odd numbers; in single precision"
        ),
        "split/simulation": Dataset("(G,)", "ids of the simulations", type="text"),
        "split/partition": Dataset("(G,)", "0 train, 1 validation, 2 test", type="whole"),
        "ridge_estimate/weights": Dataset("(F, T)", "linear estimate of theta from x"),
        "ridge_estimate/offset": Dataset("(T,)", "linear estimate of theta from x"),
        "noise/root": Dataset("(D, D)", "square root of the covariance of the noise"),
        "ood/.*": Dataset(
            "(...)", "out-of-distribution detector: Gaussian fits, scores of the validation rows, MMD test"
        ),
        r"stacks/\d+/support/(shift|scale)": Dataset("(P,)", "standardisation on the real line"),
        "(condition/)?(shift|scale)": Dataset(
            "(P,)", "standardisation of the parameters, of a regressor or of a density's condition"
        ),
        "(kurtosis_)?typicality/(coefficients|residuals)": Dataset(
            "(...)", "expected log density of validation rows, and how they scatter"
        ),
        "null_mode_noise/(basis|mean|std)": Dataset("(...)", "noise on modes of the data that never vary"),
    },
    nested=("summary", "initialised_from"),
)

# model: split, tune, train, validate. No rule here opens a raster.
rule split_samples:
    input:
        samples="results/features/samples.parquet",
    output:
        folds="results/model/folds.parquet",
    log:
        "logs/split_samples.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        test=TEST,
        folds=config["model"]["folds"],
        seed=config["model"]["seed"],
        lib=lib("_table"),
    script:
        "../scripts/split_samples.py"


rule tune_forest:
    input:
        samples="results/features/samples.parquet",
        folds=rules.split_samples.output.folds,
    output:
        search="results/model/search.csv",
    log:
        "logs/tune_forest.log",
    conda:
        "../../envs/soilmoisture.yaml"
    threads: 8
    params:
        predictors=PREDICTORS,
        grid=json.dumps(config["model"]["search"], sort_keys=True),
        design=config["model"]["search_design"],
        seed=config["model"]["seed"],
        lib=lib("_forest", "_table"),
    script:
        "../scripts/tune_forest.py"


rule train_forest:
    input:
        samples="results/features/samples.parquet",
        folds=rules.split_samples.output.folds,
        search=rules.tune_forest.output.search,
    output:
        forest="results/model/forest.skops",
    log:
        "logs/train_forest.log",
    conda:
        "../../envs/soilmoisture.yaml"
    threads: 8
    params:
        predictors=PREDICTORS,
        seed=config["model"]["seed"],
        lib=lib("_forest"),
    script:
        "../scripts/train_forest.py"


rule cross_validate:
    input:
        samples="results/features/samples.parquet",
        folds=rules.split_samples.output.folds,
        search=rules.tune_forest.output.search,
    output:
        predictions="results/model/predictions.parquet",
    log:
        "logs/cross_validate.log",
    conda:
        "../../envs/soilmoisture.yaml"
    threads: 8
    params:
        predictors=PREDICTORS,
        seed=config["model"]["seed"],
        lib=lib("_forest", "_table"),
    script:
        "../scripts/cross_validate.py"


rule score_predictions:
    input:
        predictions=rules.cross_validate.output.predictions,
    output:
        metrics="results/model/metrics.csv",
    log:
        "logs/score_predictions.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        bootstrap=config["model"]["bootstrap"],
        seed=config["model"]["seed"],
        lib=lib("_metrics", "_table"),
    script:
        "../scripts/score_predictions.py"


rule rank_predictors:
    input:
        samples="results/features/samples.parquet",
        folds=rules.split_samples.output.folds,
        forest=rules.train_forest.output.forest,
    output:
        importance="results/model/importance.csv",
    log:
        "logs/rank_predictors.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        repeats=config["model"]["importance_repeats"],
        seed=config["model"]["seed"],
        lib=lib("_forest", "_table"),
    script:
        "../scripts/rank_predictors.py"

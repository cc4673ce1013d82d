# model: split, tune, train, validate, and say where the forest may be trusted. No rule here opens
# a raster. `variant` is empty for the study and `_paper` for its baseline.
rule split_samples:
    input:
        samples=samples_of,
        area=rules.sample_area.output.area,
    output:
        folds="results/model/folds{variant}.parquet",
        designs="results/model/designs{variant}.csv",
        distances="results/model/distances{variant}.csv",
    log:
        "logs/split_samples{variant}.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        test=TEST,
        folds=of_study("model", "folds"),
        seed=of_study("model", "seed"),
        lib=lib("_folds", "_table"),
    script:
        "../scripts/split_samples.py"


rule tune_forest:
    input:
        samples=samples_of,
        folds=rules.split_samples.output.folds,
    output:
        search="results/model/search{variant}.csv",
    log:
        "logs/tune_forest{variant}.log",
    conda:
        "../../envs/soilmoisture.yaml"
    threads: 8
    params:
        predictors=learned,
        grid=of_study("model", "search"),
        design=of_study("model", "search_design"),
        weights=of_study("model", "weights"),
        seed=of_study("model", "seed"),
        lib=lib("_forest", "_table"),
    script:
        "../scripts/tune_forest.py"


rule train_forest:
    input:
        samples=samples_of,
        folds=rules.split_samples.output.folds,
        search=rules.tune_forest.output.search,
    output:
        forest="results/model/forest{variant}.skops",
        leaves="results/model/leaves{variant}.npz",
    log:
        "logs/train_forest{variant}.log",
    # Seconds, of all cores: every map waits for it, a long job of one core would not let it start.
    priority: 1
    conda:
        "../../envs/soilmoisture.yaml"
    threads: 8
    params:
        predictors=learned,
        weights=of_study("model", "weights"),
        seed=of_study("model", "seed"),
        lib=lib("_forest", "_quantiles", "_stored"),
    script:
        "../scripts/train_forest.py"


rule cross_validate:
    input:
        samples=samples_of,
        folds=rules.split_samples.output.folds,
        search=rules.tune_forest.output.search,
    output:
        predictions="results/model/predictions{variant}.parquet",
    log:
        "logs/cross_validate{variant}.log",
    conda:
        "../../envs/soilmoisture.yaml"
    threads: 8
    params:
        predictors=learned,
        weights=of_study("model", "weights"),
        level=of_study("model", "level"),
        seed=of_study("model", "seed"),
        lib=lib("_designs", "_forest", "_quantiles", "_table"),
    script:
        "../scripts/cross_validate.py"


rule score_predictions:
    input:
        predictions=rules.cross_validate.output.predictions,
    output:
        metrics="results/model/metrics{variant}.csv",
    log:
        "logs/score_predictions{variant}.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        bootstrap=of_study("model", "bootstrap"),
        seed=of_study("model", "seed"),
        lib=lib("_metrics", "_scores", "_table"),
    script:
        "../scripts/score_predictions.py"


rule score_bars:
    input:
        samples="results/features/samples.parquet",
        folds="results/model/folds.parquet",
        search="results/model/search.csv",
        products=[] if TABLE else "results/features/products.parquet",
        baseline=(
            "results/model/predictions_paper.parquet" if "_paper" in STUDIES else []
        ),
    output:
        bars="results/model/bars.csv",
    log:
        "logs/score_bars.log",
    conda:
        "../../envs/soilmoisture.yaml"
    threads: 8
    params:
        bootstrap=config["model"]["bootstrap"],
        seed=config["model"]["seed"],
        lib=lib("_designs", "_forest", "_metrics", "_scores", "_table"),
    script:
        "../scripts/score_bars.py"


if not TABLE:

    rule collocate_products:
        input:
            samples="results/features/samples.parquet",
            products="results/features/products.parquet",
        output:
            collocation="results/model/collocation.csv",
        log:
            "logs/collocate_products.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            bootstrap=config["model"]["bootstrap"],
            seed=config["model"]["seed"],
            lib=lib("_collocation", "_table"),
        script:
            "../scripts/collocate_products.py"


rule score_sites:
    input:
        predictions="results/model/predictions.parquet",
        products=[] if TABLE else "results/features/products.parquet",
    output:
        sites="results/model/sites.csv",
    log:
        "logs/score_sites.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        sites=config["report"]["sites"],
        months=config["report"]["site_months"],
        lib=lib("_metrics", "_table"),
    script:
        "../scripts/score_sites.py"


rule rank_predictors:
    input:
        samples="results/features/samples.parquet",
        folds="results/model/folds.parquet",
        search="results/model/search.csv",
    output:
        importance="results/model/importance.csv",
    log:
        "logs/rank_predictors.log",
    conda:
        "../../envs/soilmoisture.yaml"
    threads: 8
    params:
        predictors=PREDICTORS,
        groups=config["model"]["importance_groups"],
        repeats=config["model"]["importance_repeats"],
        drop_folds=config["model"]["importance_drop_folds"],
        drop_trees=config["model"]["importance_drop_trees"],
        seed=config["model"]["seed"],
        lib=lib("_forest", "_table"),
    script:
        "../scripts/rank_predictors.py"


rule describe_samples:
    input:
        samples="results/features/samples.parquet",
        folds="results/model/folds.parquet",
    output:
        described="results/model/samples.csv",
    log:
        "logs/describe_samples.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        terrain=TERRAIN,
        bootstrap=config["model"]["bootstrap"],
        seed=config["model"]["seed"],
        lib=lib("_table"),
    script:
        "../scripts/describe_samples.py"


rule measure_applicability:
    input:
        samples="results/features/samples.parquet",
        folds="results/model/folds.parquet",
        importance=rules.rank_predictors.output.importance,
        predictions="results/model/predictions.parquet",
    output:
        rows="results/model/applicability.parquet",
        parameters="results/model/applicability.json",
        error_by_di="results/model/error_by_di.csv",
    log:
        "logs/measure_applicability.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        predictors=PREDICTORS,
        design=config["applicability"]["design"],
        rows=config["applicability"]["rows"],
        seed=config["model"]["seed"],
        lib=lib("_applicability", "_table"),
    script:
        "../scripts/measure_applicability.py"


rule calibrate_intervals:
    input:
        predictions="results/model/predictions.parquet",
    output:
        intervals="results/model/intervals.csv",
    log:
        "logs/calibrate_intervals.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        level=config["model"]["level"],
        by="source",
        bootstrap=config["model"]["bootstrap"],
        seed=config["model"]["seed"],
        lib=lib("_quantiles", "_table"),
    script:
        "../scripts/calibrate_intervals.py"


rule estimate_error:
    input:
        predictions="results/model/predictions.parquet",
        products=[] if TABLE else "results/features/products.parquet",
        intervals=rules.calibrate_intervals.output.intervals,
    output:
        errors="results/model/errors.csv",
        correction="results/model/correction.json",
    log:
        "logs/estimate_error.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        extremes=config["maps"]["extremes"],
        conserve=config["maps"]["conserve"],
        product="SMCI, bilinear",
        station_error=config["insitu"]["error"],
        level=config["model"]["level"],
        bootstrap=config["model"]["bootstrap"],
        seed=config["model"]["seed"],
        lib=lib("_correction", "_table"),
    script:
        "../scripts/estimate_error.py"


if RESIDUALS:

    rule krige_residuals:
        input:
            predictions="results/model/predictions.parquet",
            correction=rules.estimate_error.output.correction,
        output:
            residuals="results/model/residuals.csv",
            variogram="results/model/residuals.json",
        log:
            "logs/krige_residuals.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            sources=RESIDUAL_SOURCES,
            lib=lib("_correction", "_kriging", "_table"),
        script:
            "../scripts/krige_residuals.py"

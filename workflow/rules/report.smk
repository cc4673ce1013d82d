# report: figures with the numbers drawn in them, and the page people open. Nothing is learned here.
NOTE = "simulated data" if SIMULATED else ""
APPLICABILITY = expand(
    "results/maps/applicability/{year}.csv",
    year=sorted({month[:4] for month in MONTHS}),
)


rule plot_flowchart:
    input:
        snakefile=os.path.relpath(ROOT / "Snakefile"),
        rules=[
            os.path.relpath(path)
            for path in sorted((ROOT / "workflow" / "rules").glob("*.smk"))
        ],
    output:
        png=figure("fig02_flowchart"),
        pdf="results/report/fig02_flowchart.pdf",
        csv="results/report/fig02_flowchart.csv",
    log:
        "logs/plot_flowchart.log",
    conda:
        "../../envs/soilmoisture.yaml"
    resources:
        python=sys.executable,
    params:
        config=given,
        note=NOTE,
        lib=lib("_figures", "_table"),
    script:
        "../scripts/plot_flowchart.py"


rule plot_timeseries:
    input:
        predictions="results/model/predictions.parquet",
        products=[] if TABLE else "results/features/products.parquet",
        sites="results/model/sites.csv",
    output:
        png=figure("fig04_timeseries"),
        pdf="results/report/fig04_timeseries.pdf",
        csv="results/report/fig04_timeseries.csv",
    log:
        "logs/plot_timeseries.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        sites=config["report"]["sites"],
        months=config["report"]["site_months"],
        test=TEST,
        unit=config["unit"],
        note=NOTE,
        lib=lib("_figures", "_sites", "_table"),
    script:
        "../scripts/plot_timeseries.py"


rule plot_taylor:
    input:
        sites="results/model/sites.csv",
    output:
        png=figure("fig05_taylor"),
        pdf="results/report/fig05_taylor.pdf",
        csv="results/report/fig05_taylor.csv",
    log:
        "logs/plot_taylor.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        sites=config["report"]["sites"],
        months=config["report"]["site_months"],
        note=NOTE,
        lib=lib("_figures", "_sites", "_table"),
    script:
        "../scripts/plot_taylor.py"


rule plot_scatter:
    input:
        predictions="results/model/predictions.parquet",
        metrics="results/model/metrics.csv",
    output:
        png=figure("fig03_scatter"),
        pdf="results/report/fig03_scatter.pdf",
        csv="results/report/fig03_scatter.csv",
    log:
        "logs/plot_scatter.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        note=NOTE,
        unit=config["unit"],
        lib=lib("_figures", "_table"),
    script:
        "../scripts/plot_scatter.py"


rule plot_correlation:
    input:
        samples="results/features/samples.parquet",
    output:
        png=figure("fig06_correlation"),
        pdf="results/report/fig06_correlation.pdf",
        csv="results/report/fig06_correlation.csv",
    log:
        "logs/plot_correlation.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        predictors=PREDICTORS,
        note=NOTE,
        lib=lib("_figures", "_table"),
    script:
        "../scripts/plot_correlation.py"


rule plot_importance:
    input:
        importance=rules.rank_predictors.output.importance,
    output:
        png=figure("fig07_importance"),
        pdf="results/report/fig07_importance.pdf",
        csv="results/report/fig07_importance.csv",
    log:
        "logs/plot_importance.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        note=NOTE,
        unit=config["unit"],
        lib=lib("_figures", "_table"),
    script:
        "../scripts/plot_importance.py"


if TABLE:

    rule plot_maps:
        input:
            maps=expand("results/maps/monthly/{month}.tif", month=MONTHS),
            samples="results/features/samples.parquet",
        output:
            png=figure("fig08_maps"),
            pdf="results/report/fig08_maps.pdf",
            csv="results/report/fig08_maps.csv",
        log:
            "logs/plot_maps.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            months=MONTHS,
            unit=config["unit"],
            lib=lib("_figures", "_raster", "_table"),
        script:
            "../scripts/plot_maps.py"

else:

    rule list_inputs:
        input:
            tables=expand("results/interim/inputs/{batch}.csv", batch=batches()),
            rasters=expand(
                "results/interim/{variable}/{month}.tif",
                variable=[*MODIS, *(["smc"] if SMC else [])],
                month=MONTHS,
            ),
            static=rules.stack_static.output.static,
            smci=smci_of(MONTHS),
            grid=rules.define_grid.output.grid,
            rain="results/interim/rain.csv",
            insitu="results/interim/insitu.csv" if STATIONS else [],
        output:
            listed="results/report/inputs.csv",
            lock="results/report/inputs.lock",
        log:
            "logs/list_inputs.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 80),
            runtime=growing(10, 2),
        params:
            roads=json.dumps(ROADS, sort_keys=True),
            lib=lib("_raster", "_sources", "_table"),
        script:
            "../scripts/list_inputs.py"

    rule plot_study_area:
        input:
            static=rules.stack_static.output.static,
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
            sites=SITE_TABLE,
            gauges=_config.located(config["rain"]["gauges"], ROOT),
        output:
            png=figure("fig01_study_area"),
            pdf="results/report/fig01_study_area.pdf",
            csv="results/report/fig01_study_area.csv",
        log:
            "logs/plot_study_area.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            box=AREA["box"],
            note=NOTE,
            lib=lib("_figures", "_raster", "_table"),
        script:
            "../scripts/plot_study_area.py"

    rule plot_products:
        input:
            maps=expand("results/maps/monthly/{month}.tif", month=MONTHS_SHOWN),
            smci=smci_of(MONTHS_SHOWN),
            era5land=expand("results/interim/era5land/{month}.tif", month=MONTHS_SHOWN),
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
        output:
            png=figure(f"fig08_products_{YEAR}"),
            pdf=f"results/report/fig08_products_{YEAR}.pdf",
            csv=f"results/report/fig08_products_{YEAR}.csv",
        log:
            "logs/plot_products.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            note=NOTE,
            lib=lib("_figures", "_raster", "_table", "_view"),
        script:
            "../scripts/plot_products.py"

    rule plot_months:
        input:
            maps=expand("results/maps/monthly/{month}.tif", month=MONTHS_SHOWN),
            smci=smci_of(MONTHS_SHOWN),
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
        output:
            png=figure(f"fig08b_months_{YEAR}"),
            pdf=f"results/report/fig08b_months_{YEAR}.pdf",
            csv=f"results/report/fig08b_months_{YEAR}.csv",
        log:
            "logs/plot_months.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            months=MONTHS_SHOWN,
            note=NOTE,
            lib=lib("_figures", "_raster", "_table", "_view"),
        script:
            "../scripts/plot_months.py"

    rule compare_with_paper:
        input:
            numbers=os.path.relpath(ROOT / "config" / "paper_numbers.csv"),
            decisions=os.path.relpath(ROOT / "config" / "paper_contradictions.csv"),
            metrics="results/model/metrics.csv",
            metrics_paper=(
                "results/model/metrics_paper.csv" if "_paper" in STUDIES else []
            ),
            bars="results/model/bars.csv",
            sites="results/model/sites.csv",
            samples="results/model/samples.csv",
            rows="results/features/samples.parquet",
            unscreened=[
                *(["results/features/stations.parquet"] if STATIONS else []),
                *(["results/features/smci.parquet"] if SMCI else []),
            ],
            predictions="results/model/predictions.parquet",
            importance="results/model/importance.csv",
            correlation=rules.plot_correlation.output.csv,
            series=rules.summarise_series.output.series,
            statistics=rules.summarise_series.output.statistics,
            trend=expand("results/maps/trend/{calendar}.csv", calendar=SEASON),
            description=rules.describe_maps.output.description,
            stations=SITE_TABLE,
            gauges=_config.located(config["rain"]["gauges"], ROOT),
        output:
            table=table("results/report/compare_with_paper.csv"),
        log:
            "logs/compare_with_paper.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            years=YEARS,
            months=SEASON,
            test=TEST,
            min_lst=config["samples"]["min_lst"],
            max_albedo=config["samples"]["max_albedo"],
            site_months=config["report"]["site_months"],
            unit=config["unit"],
            simulated=SIMULATED,
            lib=lib("_paper", "_table"),
        script:
            "../scripts/compare_with_paper.py"

    rule plot_interannual:
        input:
            series=rules.summarise_series.output.series,
            statistics=rules.summarise_series.output.statistics,
        output:
            png=figure("fig09_interannual"),
            pdf="results/report/fig09_interannual.pdf",
            csv="results/report/fig09_interannual.csv",
        log:
            "logs/plot_interannual.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            test=TEST,
            note=NOTE,
            year_begins=YEAR_BEGINS,
            lib=lib("_figures", "_season", "_table"),
        script:
            "../scripts/plot_interannual.py"

    rule plot_annual_maps:
        input:
            annual=rules.average_maps.output.annual,
            smci=smci_of(MONTHS),
            era5land=expand("results/interim/era5land/{month}.tif", month=MONTHS),
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
        output:
            png=figure("fig10_annual_maps"),
            pdf="results/report/fig10_annual_maps.pdf",
            csv="results/report/fig10_annual_maps.csv",
        log:
            "logs/plot_annual_maps.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            years=ANNUAL,
            note=NOTE,
            year_begins=YEAR_BEGINS,
            lib=lib("_figures", "_raster", "_season", "_table", "_view"),
        script:
            "../scripts/plot_annual_maps.py"

    rule plot_climatology:
        input:
            climatology=rules.average_maps.output.climatology,
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
        output:
            png=figure("fig11_monthly_climatology"),
            pdf="results/report/fig11_monthly_climatology.pdf",
            csv="results/report/fig11_monthly_climatology.csv",
        log:
            "logs/plot_climatology.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            note=NOTE,
            lib=lib("_figures", "_raster", "_table", "_view"),
        script:
            "../scripts/plot_climatology.py"

    rule plot_trends:
        input:
            trends=expand("results/maps/trend/{calendar}.tif", calendar=SEASON),
            tables=expand("results/maps/trend/{calendar}.csv", calendar=SEASON),
            grid=rules.define_grid.output.grid,
            lonlat=rules.define_grid.output.lonlat,
        output:
            png=figure("fig12_trends"),
            pdf="results/report/fig12_trends.pdf",
            csv="results/report/fig12_trends.csv",
        log:
            "logs/plot_trends.log",
        conda:
            "../../envs/soilmoisture.yaml"
        params:
            note=NOTE,
            lib=lib("_figures", "_raster", "_table", "_view"),
        script:
            "../scripts/plot_trends.py"


if SIMULATED:

    # The only rule that may read resources/truth.
    rule score_truth:
        input:
            truth=expand("resources/truth/{month}.tif", month=MONTHS),
            maps=expand("results/maps/monthly/{month}.tif", month=MONTHS),
            lower=expand("results/maps/lower/{month}.tif", month=MONTHS),
            upper=expand("results/maps/upper/{month}.tif", month=MONTHS),
            di=expand("results/maps/di/{month}.tif", month=MONTHS),
            applicability="results/model/applicability.json",
            forest=expand("results/maps/forest/{month}.tif", month=MONTHS),
            baseline=(
                expand("results/maps/paper/{month}.tif", month=TEST_MONTHS)
                if "_paper" in STUDIES
                else []
            ),
            smci=smci_of(MONTHS),
            smc=smc_of(MONTHS),
            era5land=expand("results/interim/era5land/{month}.tif", month=MONTHS),
            grid=rules.define_grid.output.grid,
        output:
            score="results/score/score.csv",
            trust="results/score/trust.csv",
        log:
            "logs/score_truth.log",
        conda:
            "../../envs/soilmoisture.yaml"
        resources:
            mem_mb=growing(500, 100),
            runtime=growing(10, 2),
        params:
            months=MONTHS,
            test=TEST,
            lib=lib("_metrics", "_raster", "_table"),
        script:
            "../scripts/score_truth.py"


rule plot_claims:
    input:
        metrics="results/model/metrics.csv",
        baseline="results/model/metrics_paper.csv" if "_paper" in STUDIES else [],
        bars="results/model/bars.csv",
        target=(
            []
            if not SMCI
            else expand(
                "results/maps/target/{year}.csv",
                year=sorted({month[:4] for month in TEST_MONTHS}),
            )
        ),
        errors="results/model/errors.csv",
        score=rules.score_truth.output.score if SIMULATED else [],
    output:
        png=figure("fig13_claims"),
        pdf="results/report/fig13_claims.pdf",
        csv="results/report/fig13_claims.csv",
    log:
        "logs/plot_claims.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        test=TEST,
        unit=config["unit"],
        note=NOTE,
        lib=lib("_figures", "_table", "_trust"),
    script:
        "../scripts/plot_claims.py"


rule export_layers:
    input:
        maps=expand("results/maps/monthly/{month}.tif", month=MONTHS),
        lower=expand("results/maps/lower/{month}.tif", month=MONTHS),
        upper=expand("results/maps/upper/{month}.tif", month=MONTHS),
        di=expand("results/maps/di/{month}.tif", month=MONTHS),
        smci=smci_of(MONTHS),
        trend=(
            []
            if TABLE
            else expand("results/maps/trend/{calendar}.tif", calendar=SEASON)
        ),
        grid=[] if TABLE else rules.define_grid.output.grid,
        insitu="results/interim/insitu.csv" if STATIONS else [],
        applicability="results/model/applicability.json",
    output:
        index="results/report/layers/index.js",
        layers=expand(
            "results/report/layers/{name}.js",
            name=MONTHS if TABLE else [*MONTHS, "trend"],
        ),
    log:
        "logs/export_layers.log",
    conda:
        "../../envs/soilmoisture.yaml"
    resources:
        mem_mb=growing(500, 80),
        runtime=growing(10, 2),
    params:
        months=MONTHS,
        test=TEST,
        calendar=SEASON,
        unit=config["unit"],
        note=NOTE,
        lib=lib("_figures", "_raster", "_table"),
    script:
        "../scripts/export_layers.py"


rule build_page:
    input:
        figures=expand("results/report/{figure}.png", figure=figures()),
        claims=rules.plot_claims.output.csv,
        metrics="results/model/metrics.csv",
        baseline="results/model/metrics_paper.csv" if "_paper" in STUDIES else [],
        bars="results/model/bars.csv",
        sites="results/model/sites.csv",
        samples="results/model/samples.csv",
        intervals="results/model/intervals.csv",
        errors="results/model/errors.csv",
        search="results/model/search.csv",
        score=rules.score_truth.output.score if SIMULATED else [],
        trust=rules.score_truth.output.trust if SIMULATED else [],
        applicability=APPLICABILITY,
        collocation=COLLOCATION,
        rain=[] if TABLE else "results/interim/rain_scores.csv",
        inputs=[] if TABLE else "results/report/inputs.csv",
        paper=[] if TABLE else "results/report/compare_with_paper.csv",
        series=[] if TABLE else "results/maps/series.csv",
        statistics=[] if TABLE else "results/maps/series_statistics.csv",
        trends=(
            []
            if TABLE
            else expand("results/maps/trend/{calendar}.csv", calendar=SEASON)
        ),
        products=[] if TABLE else "results/maps/products.csv",
        description=[] if TABLE else "results/maps/description.csv",
        captions=captions(),
        viewer=str(REPORT / "viewer.js"),
        style=str(REPORT / "viewer.css"),
        index=rules.export_layers.output.index,
        maps=expand("results/maps/monthly/{month}.tif", month=MONTHS),
    output:
        page="results/report/index.html",
    log:
        "logs/build_page.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        title=title,
        unit=config["unit"],
        simulated=SIMULATED,
        months=MONTHS,
        commit=commit(),
        settings=settings,
        lib=lib("_page", "_sections", "_tables", "_trust"),
    script:
        "../scripts/build_page.py"


rule summarise_run:
    input:
        metrics="results/model/metrics.csv",
        baseline="results/model/metrics_paper.csv" if "_paper" in STUDIES else [],
        bars="results/model/bars.csv",
        samples="results/model/samples.csv",
        errors="results/model/errors.csv",
        intervals="results/model/intervals.csv",
        applicability=APPLICABILITY,
        score=rules.score_truth.output.score if SIMULATED else [],
        trust=rules.score_truth.output.trust if SIMULATED else [],
    output:
        headline="results/report/headline.txt",
    log:
        "logs/summarise_run.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        title=title,
        unit=config["unit"],
        months=MONTHS,
        lib=lib("_trust"),
    script:
        "../scripts/summarise_run.py"


rule write_model_card:
    input:
        metrics="results/model/metrics.csv",
        intervals="results/model/intervals.csv",
        errors="results/model/errors.csv",
        samples="results/model/samples.csv",
        search="results/model/search.csv",
        applicability=APPLICABILITY,
        parameters="results/model/applicability.json",
    output:
        card="results/report/model_card.md",
    log:
        "logs/write_model_card.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        title=title,
        unit=config["unit"],
        predictors=PREDICTORS,
        years=YEARS,
        test=TEST,
        depth=config["products"]["depth"],
        simulated=SIMULATED,
        product=SMCI,
        lib=lib("_trust"),
    script:
        "../scripts/write_model_card.py"


rule record_run:
    input:
        lock=[] if TABLE else "results/report/inputs.lock",
        files=(
            [TABLE["samples"], *predictor_rasters(MONTHS, PREDICTORS)]
            if TABLE
            else [path for name in LAYERS for path in files_of_layer(name)]
        ),
        results=[
            *expand(
                "results/maps/{kind}/{month}.tif",
                kind=["monthly", "lower", "upper", "di"],
                month=MONTHS,
            ),
            *expand(
                "results/model/{table}.csv",
                table=["metrics", "bars", "intervals", "errors", "importance"],
            ),
            "results/model/forest.skops",
            rules.write_model_card.output.card,
            *([] if TABLE else [rules.build_catalogue.output.collection]),
            *([] if TABLE else rules.build_catalogue.input.netcdf),
        ],
        snakefile=os.path.relpath(ROOT / "Snakefile"),
    output:
        provenance="results/report/provenance.json",
        crate="results/ro-crate-metadata.json",
        code="results/report/Snakefile",
    log:
        "logs/record_run.log",
    conda:
        "../../envs/soilmoisture.yaml"
    params:
        settings=settings,
        title=title,
        note="All data are simulated." if SIMULATED else "",
        commit=commit(),
    script:
        "../scripts/record_run.py"

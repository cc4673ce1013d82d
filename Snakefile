from snakemake.utils import min_version

min_version("9.0")


report: "workflow/report/workflow.rst"


configfile: workflow.source_path("config/config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/sources.smk"
include: "workflow/rules/raw.smk"
include: "workflow/rules/interim.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/model.smk"
include: "workflow/rules/maps.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        targets(),

"""Writes the templates as CloudFormation sees them after its transforms, as JSON.

    python ci/translate_sam.py [DIRECTORY] [OUT]

Reads DIRECTORY/template.yaml and DIRECTORY/deploy/observability.yaml (DIRECTORY is `.` by default) and writes
OUT/template.json and OUT/observability.json (OUT is `target/translated` by default). `sam validate --lint` does not look
at the properties of event sources; cfn-lint does, once they are translated.
"""

import json
import sys
from pathlib import Path

import boto3
from cfnlint.decode import decode
from cfnlint.template import Template
from cfnlint.template.transforms._language_extensions import language_extension
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

REGION = "us-east-1"
NESTED = "deploy/observability.yaml"


def serverless(path):
    """The template after the transform AWS::Serverless."""
    template = yaml_parse(path.read_text(encoding="utf-8"))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket-name/key.zip"
    session = boto3.Session(region_name=REGION)
    parameters = {name: parameter["Default"] for name, parameter in template["Parameters"].items() if "Default" in parameter}
    return Translator({}, Parser(), boto_session=session).translate(template, parameters)


def language_extensions(path):
    """The template after the transform AWS::LanguageExtensions: loops are written out, Fn::ToJsonString stays."""
    # cfn-lint's, because SAM CLI's own also evaluates functions whose values are not known yet, and to wrong ones.
    template, problems = decode(str(path))
    if not problems:
        problems, template = language_extension(Template(str(path), template, [REGION]))
    if problems:
        sys.exit("\n".join(map(str, problems)))
    # Their values are in the places that refer to them.
    del template["Mappings"]
    return template


def main(directory=".", out="target/translated"):
    template = serverless(Path(directory, "template.yaml"))
    nested = [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == "AWS::CloudFormation::Stack"]
    if [properties["TemplateURL"] for properties in nested] != [NESTED]:
        sys.exit(f"template.yaml must nest {NESTED} and nothing else")
    # Where cfn-lint finds the translation, beside its parent.
    nested[0]["TemplateURL"] = "observability.json"
    Path(out).mkdir(parents=True, exist_ok=True)
    for name, translated in [("template", template), ("observability", language_extensions(Path(directory, NESTED)))]:
        Path(out, f"{name}.json").write_text(json.dumps(translated, indent=1, default=str), encoding="utf-8")


main(*sys.argv[1:])

"""Prints the CloudFormation template that a SAM template becomes.

`sam validate --lint` does not look at the properties of event sources; cfn-lint does, once they
are translated.
"""

import json
import sys

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml_parse(file.read())
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket-name/key.zip"
session = boto3.Session(region_name="us-east-1")
parameters = {
    name: parameter["Default"]
    for name, parameter in template.get("Parameters", {}).items()
    if "Default" in parameter
}
translated = Translator({}, Parser(), boto_session=session).translate(template, parameters)
print(json.dumps(translated, indent=1, default=str))

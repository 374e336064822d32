"""Prints the variables that the translated template gives each function: function -> name -> value.

    python ci/environment.py target/translated/template.json

References to parameters become their defaults, references to resources the resources' logical ids.
"""

import json
import sys
from pathlib import Path

template = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
parameters = {name: parameter["Default"] for name, parameter in template["Parameters"].items()}


def holds(condition):
    if "Fn::Equals" in condition:
        left, right = map(value, condition["Fn::Equals"])
        return str(left) == str(right)
    if "Fn::Not" in condition:
        return not holds(condition["Fn::Not"][0])
    if "Fn::And" in condition:
        return all(map(holds, condition["Fn::And"]))
    return holds(template["Conditions"][condition["Condition"]])


def value(expression):
    if not isinstance(expression, dict):
        return expression
    if "Ref" in expression:
        return parameters.get(expression["Ref"], expression["Ref"])
    condition, then, otherwise = expression["Fn::If"]
    return value(then if holds(template["Conditions"][condition]) else otherwise)


functions = {}
for name, resource in template["Resources"].items():
    if resource["Type"] == "AWS::Lambda::Function":
        variables = resource["Properties"]["Environment"]["Variables"]
        functions[name.lower()] = {variable: str(value(expression)) for variable, expression in variables.items()}
print(json.dumps(functions, indent=1))

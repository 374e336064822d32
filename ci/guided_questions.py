"""Fails if `sam deploy --guided` would ask whether a route may have no authentication.

    python ci/guided_questions.py template.yaml
"""

import sys

from samcli.commands.deploy.auth_utils import auth_per_resource
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

stacks, _ = SamLocalStackProvider.get_stacks(sys.argv[1], language_extensions_enabled=True)
asked = [name for name, has_auth in auth_per_resource(stacks) if not has_auth]
if asked:
    sys.exit("\n".join(f"{name} has no authentication" for name in asked))

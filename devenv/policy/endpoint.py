"""The policy `endpoint`: the requests that a VPC's gateway endpoint for DynamoDB lets through.

Decided by AWS's documentation (VPC endpoint policies; DynamoDB, inter-network traffic privacy):
- A gateway endpoint's policy needs the principal `*`; a condition on aws:PrincipalAccount keeps to the own account, and
  may have no wildcard. Without a policy everything passes, also to tables of other accounts.
- DescribeEndpoints has no resource, and must be allowed here where the SDK uses it.
- Streams have an endpoint of their own, which a gateway endpoint does not serve.
"""

from __future__ import annotations

from typing import Final

from devenv.policy.documents import ITEMS, Maker, Policy, PolicySource, document, item_resources
from devenv.policy.wish import ANY, Wish, require_place


def endpoint(_: PolicySource, wish: Wish) -> Policy:
    """Let item operations on these tables through, by principals of this account."""
    account = require_place(wish, "an endpoint for every account would let data out")
    own = {"StringEquals": {"aws:PrincipalAccount": account}}
    statements = [
        {
            "Sid": "AllowItemsOfTheseTables",
            "Effect": "Allow",
            "Principal": ANY,
            "Action": list(ITEMS),
            "Resource": item_resources(wish),
            "Condition": own,
        },
        {
            "Sid": "AllowEndpointDiscovery",
            "Effect": "Allow",
            "Principal": ANY,
            "Action": ["dynamodb:DescribeEndpoints"],
            "Resource": ANY,
            "Condition": own,
        },
    ]
    return Policy(
        name="endpoint",
        kind="endpoint policy (VPC gateway endpoint)",
        title="let these tables through the endpoint, and nothing else",
        explain=(
            "Requests from the VPC reach DynamoDB without the internet, and only for items of these tables. Data cannot"
            " be copied out through it to a table of another account, nor with another account's keys."
        ),
        document=document(*statements),
        attach="aws ec2 modify-vpc-endpoint --vpc-endpoint-id vpce-ID --policy-document file://FILE",
        notes=(
            "it grants nothing: a role still needs its own permission",
            "tables cannot be created, changed or deleted through it; deploy from outside of the VPC",
            "a gateway endpoint costs nothing; it serves its own region only, no streams and no on-premises systems",
        ),
    )


MAKER: Final = Maker("endpoint", endpoint, limit=20_480)

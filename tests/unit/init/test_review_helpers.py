"""DAT015 reads the queries that `init` finds: those that a helper sends, those with another file's table name."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.review import review_folder

PYTHON = {
    "shop/pages.py": "def every(table, **asked):\n    return table.query(**asked)['Items']\n",
    "shop/visits.py": "from boto3 import resource\nfrom boto3.dynamodb.conditions import Key\n"
    "from shop.pages import every\n"
    "visits = resource('dynamodb').Table('visits')\n"
    "def visits_of(pet):\n    return every(visits, KeyConditionExpression=Key('pet').eq(pet))\n",
}
SCRIPT = {
    "src/table.js": "export const TABLE = 'visits';\nexport const keyOf = (pet) => `PET#${pet}`;\n",
    "src/visits.js": "import { QueryCommand } from '@aws-sdk/lib-dynamodb';\n"
    "import { TABLE, keyOf } from './table.js';\n"
    "async function every(input) {\n"
    "  return (await ddb.send(new QueryCommand({ TableName: TABLE, ...input }))).Items;\n}\n"
    "export function visitsOf(pet) {\n  return every({ KeyConditionExpression: 'pet = :p',"
    " ExpressionAttributeValues: { ':p': keyOf(pet) } });\n}\n",
}


@pytest.mark.parametrize("files", [PYTHON, SCRIPT], ids=["python", "script"])
def test_a_query_that_a_helper_sends(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert review_folder(tmp_path).queries == 1

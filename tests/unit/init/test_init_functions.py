"""Functions on tables' streams, as templates and folders of lambdas declare them."""

from __future__ import annotations

import pytest

from devenv.init.functions import FoundFunction, find_functions, unread_functions

PYTHON = """
import boto3
def lambda_handler(event, context):
    for record in event["Records"]:
        if record["eventName"] == "INSERT":
            print(record["dynamodb"]["NewImage"])
"""
NODE = "exports.handler = async (event) => { for (const r of event.Records) console.log(r.dynamodb.NewImage) }"
SAM = """
Resources:
  Messages: {Type: AWS::DynamoDB::Table, Properties: {TableName: messages}}
  MoveRows:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/
      Handler: rows.lambda_handler
      Events:
        Changed:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Messages.StreamArn
            BatchSize: 10
            FilterCriteria: {Filters: [{Pattern: '{"eventName": ["INSERT"]}'}]}
"""
CLOUDFORMATION = """
Resources:
  Messages: {Type: AWS::DynamoDB::Table, Properties: {TableName: messages}}
  MoveRows: {Type: AWS::Lambda::Function, Properties: {Handler: rows.lambda_handler, Code: {S3Bucket: b}}}
  Source:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {FunctionName: !Ref MoveRows, EventSourceArn: !GetAtt Messages.StreamArn, BatchSize: 10}
"""
SERVERLESS = """
service: chat
functions:
  moveRows:
    handler: functions/rows.lambda_handler
    events:
      - stream:
          {type: dynamodb, arn: !GetAtt Messages.StreamArn, batchSize: 10, filterPatterns: [{eventName: [INSERT]}]}
resources: {Resources: {Messages: {Type: AWS::DynamoDB::Table, Properties: {TableName: messages}}}}
"""
TERRAFORM = """
resource "aws_dynamodb_table" "chat" { name = "messages" }
resource "aws_lambda_function" "move_rows" {
  handler  = "rows.lambda_handler"
  filename = "build/rows.zip"
}
resource "aws_lambda_event_source_mapping" "rows" {
  event_source_arn = aws_dynamodb_table.chat.stream_arn
  function_name    = aws_lambda_function.move_rows.arn
  batch_size       = 10
  filter_criteria {
    filter {
      pattern = jsonencode({ eventName = ["INSERT"] })
    }
  }
}
"""
CDK = """
const messages = new dynamodb.Table(this, 'Messages', { tableName: 'messages' });
const moveRows = new lambda.Function(this, 'MoveRows', {
  handler: 'rows.lambda_handler', code: lambda.Code.fromAsset('functions'),
});
moveRows.addEventSource(new DynamoEventSource(messages, { startingPosition: TRIM_HORIZON }));
"""
PYTHON_CDK = """
messages = dynamodb.Table(self, "Messages", table_name="messages")
move_rows = lambda_.Function(self, "Rows", handler="rows.lambda_handler", code=lambda_.Code.from_asset("functions"))
move_rows.add_event_source(DynamoEventSource(messages, starting_position=LATEST))
"""


@pytest.mark.parametrize(
    ("name", "text", "size", "filtered"),
    [
        ("template.yaml", SAM, 10, True),
        ("template.yaml", CLOUDFORMATION, 10, False),
        ("serverless.yml", SERVERLESS, 10, True),
        ("main.tf", TERRAFORM, 10, True),
        ("lib/stack.ts", CDK, None, False),
        ("stack.py", PYTHON_CDK, None, False),
    ],
)
def test_a_function_of_a_template(name: str, text: str, size: int | None, filtered: bool) -> None:
    [found] = find_functions({name: text, "functions/rows.py": PYTHON}, ["messages", "others"])
    assert found.handler == "functions/rows.py:lambda_handler"
    assert (found.table, found.size) == ("messages", size)
    assert found.filter == (({"eventName": ["INSERT"]},) if filtered else ())
    assert found.seen.startswith(name)


def test_a_folder_of_lambdas() -> None:
    texts = {
        "aws/lambdas/cruddur-messaging-stream.py": PYTHON,
        "aws/lambdas/on-sign-up.py": "def lambda_handler(event, context):\n    return event\n",
        "aws/lambdas/rows/index.js": NODE,
        "app.py": "def handler(event):\n    pass\n",
    }
    assert find_functions(texts, ["cruddur-messages"]) == (
        FoundFunction(
            "cruddur-messaging-stream",
            "aws/lambdas/cruddur-messaging-stream.py:lambda_handler",
            "aws/lambdas/cruddur-messaging-stream.py",
            "cruddur-messages",
        ),
        FoundFunction("index", "aws/lambdas/rows/index.js:handler", "aws/lambdas/rows/index.js", "cruddur-messages"),
    )


@pytest.mark.parametrize("text", [SAM.replace("Type: DynamoDB\n", "Type: Kinesis\n"), SAM.replace("rows.", "nowhere.")])
def test_what_is_no_function_on_a_stream_is_none(text: str) -> None:
    assert find_functions({"template.yaml": text, "functions/rows.py": "x = 1"}, ["messages"]) == ()


TWO = """
Resources:
  Rows:
    Type: AWS::Serverless::Function
    Properties:
      Handler: rows.lambda_handler
      CodeUri: functions/
      Events:
        Changed:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Messages.StreamArn
            FilterCriteria:
              Filters:
                - Pattern: "not json"
  Gone:
    Type: AWS::Serverless::Function
    Properties:
      Handler: gone.lambda_handler
      Events:
        Changed:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Messages.StreamArn
"""


def test_what_of_a_template_is_not_understood_is_listed() -> None:
    texts = {"template.yaml": TWO, "functions/rows.py": PYTHON}
    found = find_functions(texts, ["messages"])
    assert [(one.handler, one.filter) for one in found] == [("functions/rows.py:lambda_handler", None)]
    [line] = unread_functions(texts, found)
    assert line.startswith("template.yaml: 1 stream function whose handler or file was not found")
    assert list(unread_functions({**texts, "gone.py": PYTHON}, find_functions({**texts, "gone.py": PYTHON}, []))) == []


@pytest.mark.parametrize("text", ["Type: AWS::Lambda::EventSourceMapping\nEventSourceArn: arn:aws:sqs:x:1:queue", "x"])
def test_a_source_that_is_no_stream_is_not_listed(text: str) -> None:
    assert list(unread_functions({"template.yaml": text}, ())) == []

module example.org/birdlog

go 1.19

require (
	github.com/aws/aws-sdk-go-v2 v1.17.1
	github.com/aws/aws-sdk-go-v2/config v1.17.10
	github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue v1.10.2
	github.com/aws/aws-sdk-go-v2/service/dynamodb v1.17.3
	github.com/jackc/pgx/v4 v4.15.0
)

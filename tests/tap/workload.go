// Calls of Go's drivers: `workload pgx|go-sdk ROUNDS`. Prints how many calls it made.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

var made int

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
	made++
}

func usePgx(ctx context.Context, rounds int) {
	url := os.Getenv("DATABASE_URL")
	client, err := pgx.Connect(ctx, url)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Exec(ctx, "CREATE TEMP TABLE t (a int PRIMARY KEY, b text)")
	must(err)
	for number := 0; number < rounds; number++ {
		_, err = client.Exec(ctx, "INSERT INTO t VALUES ($1, $2)", number, strings.Repeat("é", number%50))
		must(err)
		var text string
		must(client.QueryRow(ctx, "SELECT b FROM t WHERE a = $1", number).Scan(&text))
		must(client.QueryRow(ctx, "SELECT b FROM t WHERE a = $1", pgx.QuerySimpleProtocol(true), number).Scan(&text))
		if number%10 != 0 {
			continue
		}
		var refused *pgconn.PgError
		_, err = client.Exec(ctx, "INSERT INTO t VALUES ($1, 'again')", number)
		if errors.As(err, &refused) && refused.Code == "23505" {
			made++
		}
		rows := [][]interface{}{{1000000 + number, "copied"}, {2000000 + number, "copied"}}
		_, err = client.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"a", "b"}, pgx.CopyFromRows(rows))
		must(err)
		batch := &pgx.Batch{}
		for key := 0; key < 5; key++ {
			batch.Queue("SELECT b FROM t WHERE a = $1", key)
		}
		must(client.SendBatch(ctx, batch).Close())
	}
	client.Close(ctx)
	// A context that ends while a query runs closes the connection; this one is cancelled by the server.
	if client, err = pgx.Connect(ctx, url); err != nil {
		log.Fatal(err)
	}
	go func() {
		time.Sleep(300 * time.Millisecond)
		client.PgConn().CancelRequest(ctx)
	}()
	if _, err = client.Exec(ctx, "SELECT pg_sleep(20)"); err != nil {
		made++
	}
	client.Close(ctx)
}

func useSdk(ctx context.Context, rounds int) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		o.EndpointResolver = dynamodb.EndpointResolverFromURL(os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))
	})
	table := aws.String("tap-calls")
	if name := os.Getenv("TAP_TABLE"); name != "" {
		table = &name
	}
	for number := 0; number < rounds; number++ {
		key := map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "go"},
			"sk": &types.AttributeValueMemberS{Value: fmt.Sprintf("%05d", number%100)},
		}
		if number%5 == 0 {
			item := map[string]types.AttributeValue{
				"pk": key["pk"], "sk": key["sk"], "text": &types.AttributeValueMemberS{Value: strings.Repeat("é", 500)},
			}
			_, err = client.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: item})
			must(err)
		}
		_, err = client.GetItem(ctx, &dynamodb.GetItemInput{TableName: table, Key: key})
		must(err)
		_, err = client.Query(ctx, &dynamodb.QueryInput{
			TableName:                 table,
			KeyConditionExpression:    aws.String("pk = :pk"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":pk": key["pk"]},
			Limit:                     aws.Int32(10),
			ReturnConsumedCapacity:    types.ReturnConsumedCapacityTotal,
		})
		must(err)
		if number%50 == 0 {
			_, err = client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("tap-nothing"), Key: key})
			var missing *types.ResourceNotFoundException
			if errors.As(err, &missing) {
				made++
			}
		}
	}
}

func main() {
	rounds, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if os.Args[1] == "pgx" {
		usePgx(context.Background(), rounds)
	} else {
		useSdk(context.Background(), rounds)
	}
	fmt.Println(made)
}

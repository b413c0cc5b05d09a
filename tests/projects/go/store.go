package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Sighting is one entry in the log of a site.
type Sighting struct {
	PK                  string `dynamodbav:"pk" json:"-"`
	SeenAt              string `dynamodbav:"sk" json:"seenAt"`
	ID                  string `dynamodbav:"sightingId" json:"id"`
	Species             string `dynamodbav:"species" json:"species"`
	Note                string `dynamodbav:"note" json:"note"`
	ObserverID          string `dynamodbav:"observerId" json:"-"`
	ObserverHandle      string `dynamodbav:"observerHandle" json:"observer"`
	ObserverDisplayName string `dynamodbav:"observerDisplayName" json:"observerName"`
}

// Store keeps the sightings.
type Store struct {
	client *dynamodb.Client
	table  string
}

// NewStore connects to DynamoDB, or to the endpoint of a local one.
func NewStore(ctx context.Context) (*Store, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		if url := os.Getenv("DYNAMODB_ENDPOINT"); url != "" {
			o.EndpointResolver = dynamodb.EndpointResolverFromURL(url)
		}
	})
	return &Store{client: client, table: os.Getenv("SIGHTINGS_TABLE")}, nil
}

// ListSightings returns what was seen at a site, newest first.
func (s *Store) ListSightings(ctx context.Context, siteID string) ([]Sighting, error) {
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName:              aws.String(s.table),
		KeyConditionExpression: aws.String("pk = :site"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":site": &types.AttributeValueMemberS{Value: "SITE#" + siteID},
		},
		ScanIndexForward: aws.Bool(false),
	})
	sightings := []Sighting{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		var some []Sighting
		if err := attributevalue.UnmarshalListOfMaps(page.Items, &some); err != nil {
			return nil, err
		}
		sightings = append(sightings, some...)
	}
	return sightings, nil
}

// AddSighting writes one entry.
func (s *Store) AddSighting(ctx context.Context, siteID, id, species, note string, who *Observer) error {
	item, err := attributevalue.MarshalMap(Sighting{
		PK:                  "SITE#" + siteID,
		SeenAt:              time.Now().UTC().Format(time.RFC3339),
		ID:                  id,
		Species:             species,
		Note:                note,
		ObserverID:          who.ID,
		ObserverHandle:      who.Handle,
		ObserverDisplayName: who.DisplayName,
	})
	if err != nil {
		return err
	}
	_, err = s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(s.table), Item: item})
	return err
}

// Birdlog serves the log of bird sightings of the observers' club.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
)

func main() {
	ctx := context.Background()
	store, err := NewStore(ctx)
	if err != nil {
		log.Fatal(err)
	}

	if len(os.Args) > 2 && os.Args[1] == "sightings" {
		list, err := store.ListSightings(ctx, os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		json.NewEncoder(os.Stdout).Encode(list)
		return
	}

	people, err := NewPeople(ctx)
	if err != nil {
		log.Fatal(err)
	}
	api := &API{store: store, people: people}

	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	log.Printf("listening on %s", port)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, api.Routes()))
}

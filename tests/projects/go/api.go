package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log"
	"net/http"
	"strings"
)

// API answers HTTP requests.
type API struct {
	store  *Store
	people *People
}

// Routes returns the handler of all paths.
func (a *API) Routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, map[string]bool{"ok": true})
	})
	mux.HandleFunc("/api/observers/", a.observer)
	mux.HandleFunc("/api/sites/", a.sightings)
	return mux
}

func (a *API) observer(w http.ResponseWriter, r *http.Request) {
	who, err := a.people.ByHandle(r.Context(), strings.TrimPrefix(r.URL.Path, "/api/observers/"))
	if err != nil {
		fail(w, http.StatusNotFound, err)
		return
	}
	reply(w, http.StatusOK, who)
}

func (a *API) sightings(w http.ResponseWriter, r *http.Request) {
	siteID := strings.TrimPrefix(r.URL.Path, "/api/sites/")
	if r.Method == http.MethodPost {
		a.add(w, r, siteID)
		return
	}
	list, err := a.store.ListSightings(r.Context(), siteID)
	if err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, http.StatusOK, map[string]interface{}{"sightings": list})
}

func (a *API) add(w http.ResponseWriter, r *http.Request, siteID string) {
	var body struct{ Handle, Species, Note string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	who, err := a.people.ByHandle(r.Context(), body.Handle)
	if err != nil {
		fail(w, http.StatusForbidden, err)
		return
	}
	id := newID()
	if err := a.store.AddSighting(r.Context(), siteID, id, body.Species, body.Note, who); err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, http.StatusCreated, map[string]string{"id": id})
}

func newID() string {
	random := make([]byte, 16)
	rand.Read(random)
	return hex.EncodeToString(random)
}

func reply(w http.ResponseWriter, status int, body interface{}) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, status int, err error) {
	log.Print(err)
	reply(w, status, map[string]string{"error": err.Error()})
}

package rest

import "net/http"

// mountFiles adds the file storage.
func (a *api) mountFiles(mux *http.ServeMux) {
	served := func(h func(w http.ResponseWriter, r *http.Request, app string)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			who, err := a.authenticate(r)
			if err != nil {
				a.fail(w, r, err)
				return
			}
			h(w, r, who.app.ID)
		}
	}
	get := served(func(w http.ResponseWriter, r *http.Request, app string) {
		a.Files.ServeGet(w, r, app, a.BaseURL(r), r.PathValue("id"))
	})
	remove := func(w http.ResponseWriter, r *http.Request) {
		who, err := a.authenticate(r)
		if err == nil && !who.master {
			// Whoever has the app key has every shipped copy of the app.
			err = refuse(http.StatusForbidden, http.StatusForbidden, "only the master key removes files")
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		a.Files.ServeDelete(w, r, who.app.ID, r.PathValue("id"))
	}
	mux.HandleFunc("POST /1.1/fileTokens", served(func(w http.ResponseWriter, r *http.Request, app string) {
		a.Files.ServeTokens(w, r, app, a.BaseURL(r))
	}))
	mux.HandleFunc("POST /1.1/fileCallback", served(a.Files.ServeCallback))
	create := served(func(w http.ResponseWriter, r *http.Request, app string) {
		a.Files.ServeCreate(w, r, app, a.BaseURL(r))
	})
	mux.HandleFunc("POST /1.1/files", create)
	// The storage SDKs before version 4 repeat the name in the path; the one in
	// the body is the file's.
	mux.HandleFunc("POST /1.1/files/{name}", create)
	for _, path := range []string{"/1.1/files/{id}", "/1.1/classes/_File/{id}"} {
		mux.HandleFunc("GET "+path, get)
		mux.HandleFunc("DELETE "+path, remove)
	}
}

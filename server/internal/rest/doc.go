// Package rest answers the REST API: what client SDKs ask beside the socket,
// the file storage, and administration with the master key.
//
// Every request is authenticated before anything else is looked at. An app is
// named by X-LC-Id and proves itself by X-LC-Key, the app key, or the master
// key followed by ",master"; or by X-LC-Sign, the MD5 of a time and one of the
// keys. Keys are compared in constant time. They, and tokens, are never logged
// and never part of an answer.
//
// Handlers hold no state and no lock: they read the request, call the engine
// as the client commands do, and write its answer. Failures are JSON objects
// {"code", "error"} with an HTTP status that fits the code.
package rest

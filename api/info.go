package api

import (
	"net/http"

	v1 "tcid/api/v1"
)

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, v1.Health{Status: "ok"})
	return nil
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	switch {
	case s.Sessions.Draining():
		writeJSON(w, http.StatusServiceUnavailable, v1.Health{Status: "draining"})
	case !s.Ready():
		writeJSON(w, http.StatusServiceUnavailable, v1.Health{Status: "starting"})
	default:
		writeJSON(w, http.StatusOK, v1.Health{Status: "ok"})
	}
	return nil
}

func (s *Server) listImages(w http.ResponseWriter, _ *http.Request) error {
	images, err := s.Images.Images()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, v1.ImageList{Data: images})
	return nil
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) error {
	c := s.Sessions.Config()
	writeJSON(w, http.StatusOK, v1.Version{
		Version:   s.Version,
		API:       []string{"v1"},
		Features:  []string{"sessions", "executions", "files", "tests.condition"},
		Isolation: isolationOf(s.Sessions.Isolation()),
		Limits: v1.Limits{
			ExecTimeout: c.ExecTimeout.Seconds(), MaxExecTimeout: c.MaxExecTimeout.Seconds(),
			IdleTimeout: c.IdleTimeout.Seconds(), SessionsPerPrincipal: c.SessionsPerPrincipal,
			QueuePerPrincipal: c.QueuePerPrincipal, CodeBytes: c.CodeBytes, BodyBytes: maxJSONBody,
			InlineFileBytes: c.InlineFileBytes, FileBytes: maxFileBody, OutputBytes: c.OutputBytes,
			DisplayBytes: c.DisplayBytes, TestsPerExecution: c.TestsPerExecution,
			TestTimeout: c.TestTimeout.Seconds(), Resources: v1.Resources(c.Default), MaxResources: v1.Resources(c.Ceiling),
		},
	})
	return nil
}

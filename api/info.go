package api

import (
	"net/http"

	"tcid/api/transport"
	v1 "tcid/api/v1"
)

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	transport.WriteJSON(w, http.StatusOK, v1.Health{Status: "ok"})
	return nil
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	switch {
	case s.Sessions.Draining():
		transport.WriteJSON(w, http.StatusServiceUnavailable, v1.Health{Status: "draining"})
	case !s.Ready():
		transport.WriteJSON(w, http.StatusServiceUnavailable, v1.Health{Status: "starting"})
	default:
		transport.WriteJSON(w, http.StatusOK, v1.Health{Status: "ok"})
	}
	return nil
}

func (s *Server) listImages(w http.ResponseWriter, _ *http.Request) error {
	images, err := s.Images.Images()
	if err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusOK, v1.ImageList{Data: images})
	return nil
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) error {
	c := s.Sessions.Config()
	isolation := isolationOf(s.Sessions.Isolation())
	isolation.Weaknesses = s.Weaknesses
	transport.WriteJSON(w, http.StatusOK, v1.Version{
		Version:   s.Version,
		API:       []string{"v1"},
		Features:  []string{"sessions", "executions", "files", "tests.condition"},
		Isolation: isolation,
		Limits: v1.Limits{
			ExecTimeout: c.ExecTimeout.Seconds(), MaxExecTimeout: c.MaxExecTimeout.Seconds(),
			IdleTimeout: c.IdleTimeout.Seconds(), SessionsPerPrincipal: c.SessionsPerPrincipal,
			QueuePerPrincipal: c.QueuePerPrincipal, CodeBytes: c.CodeBytes, BodyBytes: transport.MaxJSONBody,
			InlineFileBytes: c.InlineFileBytes, FileBytes: maxFileBody, OutputBytes: c.OutputBytes,
			DisplayBytes: c.DisplayBytes, TestsPerExecution: c.TestsPerExecution,
			TestTimeout: c.TestTimeout.Seconds(), Resources: v1.Resources(c.Default), MaxResources: v1.Resources(c.Ceiling),
		},
	})
	return nil
}

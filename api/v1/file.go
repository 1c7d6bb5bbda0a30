package v1

import "time"

// FileInfo describes one entry of a workspace.
type FileInfo struct {
	Path       string    `json:"path"` // relative to the workspace, with slashes
	Name       string    `json:"name"`
	Size       int64     `json:"size"`
	Type       string    `json:"type"` // file, directory, symlink, other
	Mode       string    `json:"mode"` // octal, such as 0644
	ModifiedAt time.Time `json:"modified_at"`
}

// FileList is the answer of GET /v1/sessions/{id}/files.
type FileList struct {
	Data []FileInfo `json:"data"`
	// Truncated is true when the listing stopped at its limit of entries.
	Truncated bool `json:"truncated"`
}

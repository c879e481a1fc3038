package joining

import "fmt"

// Error is why something was not done, with the number and the name that
// OpenThread's command line gives it. What is returned may wrap one.
type Error uint8

// The errors.
const (
	ErrNoBufs          Error = 3
	ErrBusy            Error = 5
	ErrInvalidArgs     Error = 7
	ErrSecurity        Error = 8
	ErrAbort           Error = 11
	ErrInvalidState    Error = 13
	ErrNotFound        Error = 23
	ErrAlready         Error = 24
	ErrResponseTimeout Error = 28
	ErrRejected        Error = 37
)

var errorTexts = map[Error][2]string{
	ErrNoBufs:          {"NoBufs", "no room for one more"},
	ErrBusy:            {"Busy", "already under way"},
	ErrInvalidArgs:     {"InvalidArgs", "not a valid value"},
	ErrSecurity:        {"Security", "the two sides could not authenticate each other"},
	ErrAbort:           {"Abort", "stopped"},
	ErrInvalidState:    {"InvalidState", "not possible in this state"},
	ErrNotFound:        {"NotFound", "not found"},
	ErrAlready:         {"Already", "already done"},
	ErrResponseTimeout: {"ResponseTimeout", "no answer in time"},
	ErrRejected:        {"Rejected", "refused by the other side"},
}

// Name is OpenThread's name of the error, "NotFound".
func (e Error) Name() string { return errorTexts[e][0] }

func (e Error) Error() string { return "joining: " + errorTexts[e][1] }

// because returns an error that is e and says more.
func (e Error) because(format string, args ...any) error {
	return fmt.Errorf("%w: %w", e, fmt.Errorf(format, args...))
}

package otcli

import (
	"errors"
	"fmt"

	"gatewayd/dnssd/register"
	"gatewayd/thread"
	"gatewayd/thread/backbone"
	"gatewayd/thread/dataset"
	"gatewayd/thread/diag"
	"gatewayd/thread/ip"
	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/netdata"
	"gatewayd/thread/publish"
	"gatewayd/thread/registrar"
	surveying "gatewayd/thread/survey" // survey is one of ours
)

// Error is an error with the number and the word that OpenThread's command line
// gives it.
type Error uint8

// The errors that commands end with.
const (
	Failed          Error = 1
	NoBufs          Error = 3
	NoRoute         Error = 4
	Busy            Error = 5
	Parse           Error = 6
	InvalidArgs     Error = 7
	Abort           Error = 11
	InvalidState    Error = 13
	Detached        Error = 16
	NotFound        Error = 23
	Already         Error = 24
	NotCapable      Error = 27
	ResponseTimeout Error = 28
	InvalidCommand  Error = 35
	// Pending is no error: the command goes on and ends with finish.
	Pending Error = 36
)

var errorWords = map[Error]string{
	Failed: "Failed", 2: "Drop", NoBufs: "NoBufs", NoRoute: "NoRoute", Busy: "Busy", Parse: "Parse",
	InvalidArgs: "InvalidArgs", 8: "Security", 9: "AddressQuery", 10: "NoAddress", Abort: "Abort",
	12: "NotImplemented", InvalidState: "InvalidState", 14: "NoAck", 15: "ChannelAccessFailure",
	Detached: "Detached", 17: "FcsErr", 18: "NoFrameReceived", 19: "UnknownNeighbor",
	20: "InvalidSourceAddress", 21: "AddressFiltered", 22: "DestinationAddressFiltered", NotFound: "NotFound",
	Already: "Already", 26: "Ipv6AddressCreationFailure", NotCapable: "NotCapable", ResponseTimeout: "ResponseTimeout",
	29: "Duplicated", 30: "ReassemblyTimeout", 31: "NotTmf", 32: "NonLowpanDataFrame", 34: "LinkMarginLow",
	InvalidCommand: "InvalidCommand", Pending: "Pending", 37: "Rejected",
}

// Word is OpenThread's word for the error.
func (e Error) Word() string {
	if w, ok := errorWords[e]; ok {
		return w
	}
	return "UnknownErrorType"
}

func (e Error) Error() string { return fmt.Sprintf("otcli: error %d: %s", uint8(e), e.Word()) }

// known maps the errors of the node's parts.
var known = []struct {
	err error
	e   Error
}{
	{thread.ErrDown, InvalidState},
	{mle.ErrState, InvalidState},
	{mle.ErrNotCapable, NotCapable},
	{mle.ErrBusy, Busy},
	{mle.ErrInvalid, InvalidArgs},
	{ip.ErrNoSource, InvalidState},
	{ip.ErrTooLong, NoBufs},
	{netdata.ErrFull, NoBufs},
	{backbone.ErrDisabled, InvalidState},
	{backbone.ErrSettings, InvalidArgs},
	{backbone.ErrNoPrimary, InvalidState},
	{backbone.ErrNoGroups, InvalidArgs},
	{backbone.ErrBusy, Busy},
	{publish.ErrFull, NoBufs},
	{publish.ErrNotFound, NotFound},
	{publish.ErrNotStable, InvalidArgs},
	{publish.ErrWrongPrefix, InvalidArgs},
	{registrar.ErrRunning, InvalidState},
	{register.ErrState, InvalidState},
	{register.ErrInvalid, InvalidArgs},
	{register.ErrExists, Already},
	{register.ErrFull, NoBufs},
	{register.ErrNotFound, NotFound},
	{register.ErrDuplicated, 29},
	{dataset.ErrDetached, InvalidState},
	{dataset.ErrBusy, Busy},
	{dataset.ErrUnchanged, Already},
	{dataset.ErrSuperseded, Already},
	{dataset.ErrNotUpdate, InvalidArgs},
	{dataset.ErrRejected, 37},
	{surveying.ErrInactive, InvalidState},
	{surveying.ErrInvalid, InvalidArgs},
	{diag.ErrState, InvalidState},
	{diag.ErrBusy, Busy},
	{diag.ErrNoRouter, NotFound},
	{diag.ErrNotCapable, NotCapable},
	{diag.ErrTimeout, ResponseTimeout},
}

// errorOf is the Error that stands for any error.
func errorOf(err error) Error {
	var own Error
	var theirs joining.Error
	var decode *meshcop.DecodeError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &theirs):
		return Error(theirs)
	case errors.As(err, &decode):
		return InvalidArgs
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			return k.e
		}
	}
	return Failed
}

package spinel

// Status is the value of PropLastStatus: what became of a command, or why the
// co-processor was reset (draft Section 6).
type Status uint32

// The status codes.
const (
	StatusOK                Status = 0
	StatusFailure           Status = 1
	StatusUnimplemented     Status = 2
	StatusInvalidArgument   Status = 3
	StatusInvalidState      Status = 4
	StatusInvalidCommand    Status = 5
	StatusInvalidInterface  Status = 6
	StatusInternalError     Status = 7
	StatusSecurityError     Status = 8
	StatusParseError        Status = 9
	StatusInProgress        Status = 10
	StatusNoMem             Status = 11
	StatusBusy              Status = 12
	StatusPropNotFound      Status = 13
	StatusDropped           Status = 14
	StatusEmpty             Status = 15
	StatusCmdTooBig         Status = 16
	StatusNoAck             Status = 17
	StatusCCAFailure        Status = 18
	StatusAlready           Status = 19
	StatusItemNotFound      Status = 20
	StatusInvalidCmdForProp Status = 21
	StatusUnknownNeighbor   Status = 22
	StatusNotCapable        Status = 23
	StatusResponseTimeout   Status = 24
	StatusSwitchoverDone    Status = 25
	StatusSwitchoverFailed  Status = 26
	StatusResetPowerOn      Status = 112
	StatusResetExternal     Status = 113
	StatusResetSoftware     Status = 114
	StatusResetFault        Status = 115
	StatusResetCrash        Status = 116
	StatusResetAssert       Status = 117
	StatusResetOther        Status = 118
	StatusResetUnknown      Status = 119
	StatusResetWatchdog     Status = 120
)

// The range of the reasons for a reset.
const (
	statusResetFirst Status = 112
	statusResetEnd   Status = 128
)

// IsReset reports whether the status says that the co-processor was reset.
func (s Status) IsReset() bool { return statusResetFirst <= s && s < statusResetEnd }

var statusNames = map[Status]string{
	StatusOK: "OK", StatusFailure: "FAILURE", StatusUnimplemented: "UNIMPLEMENTED",
	StatusInvalidArgument: "INVALID_ARGUMENT", StatusInvalidState: "INVALID_STATE",
	StatusInvalidCommand: "INVALID_COMMAND", StatusInvalidInterface: "INVALID_INTERFACE",
	StatusInternalError: "INTERNAL_ERROR", StatusSecurityError: "SECURITY_ERROR",
	StatusParseError: "PARSE_ERROR", StatusInProgress: "IN_PROGRESS", StatusNoMem: "NOMEM",
	StatusBusy: "BUSY", StatusPropNotFound: "PROP_NOT_FOUND", StatusDropped: "DROPPED",
	StatusEmpty: "EMPTY", StatusCmdTooBig: "CMD_TOO_BIG", StatusNoAck: "NO_ACK",
	StatusCCAFailure: "CCA_FAILURE", StatusAlready: "ALREADY", StatusItemNotFound: "ITEM_NOT_FOUND",
	StatusInvalidCmdForProp: "INVALID_COMMAND_FOR_PROP", StatusUnknownNeighbor: "UNKNOWN_NEIGHBOR",
	StatusNotCapable: "NOT_CAPABLE", StatusResponseTimeout: "RESPONSE_TIMEOUT",
	StatusSwitchoverDone: "SWITCHOVER_DONE", StatusSwitchoverFailed: "SWITCHOVER_FAILED",
	StatusResetPowerOn: "RESET_POWER_ON", StatusResetExternal: "RESET_EXTERNAL",
	StatusResetSoftware: "RESET_SOFTWARE", StatusResetFault: "RESET_FAULT",
	StatusResetCrash: "RESET_CRASH", StatusResetAssert: "RESET_ASSERT",
	StatusResetOther: "RESET_OTHER", StatusResetUnknown: "RESET_UNKNOWN",
	StatusResetWatchdog: "RESET_WATCHDOG",
}

func (s Status) String() string { return named(statusNames, s, "STATUS") }

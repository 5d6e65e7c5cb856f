package wire

import "strconv"

// Code is a number of the protocol: the reason of an error reply and, from
// 4100 to 4200, also the status of a WebSocket close.
type Code int32

// The codes of the protocol.
const (
	CodeAppNotAvailable                       Code = 4100 // unknown app or IM disabled; fatal
	CodeDuplicatedLogin                       Code = 4101 // push service only
	CodeSignatureFailed                       Code = 4102 // login signature wrong
	CodeInvalidLogin                          Code = 4103 // malformed or too long client id; fatal
	CodeSessionRequired                       Code = 4105 // command before session open
	CodeBlacklisted                           Code = 4106 // client banned from the app
	CodeReadTimeout                           Code = 4107 // no data from client; retried
	CodeLoginTimeout                          Code = 4108 // no session open after connect; retried
	CodeFrameTooLong                          Code = 4109 // message over 5 KB / frame too long
	CodeInvalidOrigin                         Code = 4110 // web origin not allowed; fatal
	CodeSessionConflict                       Code = 4111 // displaced by another device with the same tag
	CodeSessionTokenExpired                   Code = 4112 // session token invalid
	CodeAppQuotaExceeded                      Code = 4113 // too many daily users
	CodeUnparseableRawMessage                 Code = 4114 // undecodable frame
	CodeKickedByApp                           Code = 4115 // REST kick
	CodeMessageSentQuotaExceeded              Code = 4116 // sending too fast
	CodeUnbindInstallationFailed              Code = 4117 // logout could not unbind the device
	CodeInternalError                         Code = 4200 // server failure
	CodeSendMessageTimeout                    Code = 4201 // REST send timed out
	CodeConversationInternalError             Code = 4300 // server failure
	CodeConversationAPIFailed                 Code = 4301 // upstream failure, see detail
	CodeConversationSignatureFailed           Code = 4302 // conversation signature wrong
	CodeConversationNotFound                  Code = 4303 // no such conversation / temporary one expired
	CodeConversationFull                      Code = 4304 // member limit
	CodeConversationRejectedByApp             Code = 4305 // hook refused
	CodeConversationUpdateFailed              Code = 4306 // update failed
	CodeConversationReadOnly                  Code = 4307 // cannot update or change members
	CodeConversationNotAllowed                Code = 4308 // this client may not send here
	CodeConversationUpdateRejected            Code = 4309 // update by a non-member
	CodeConversationQueryFailed               Code = 4310 // query too slow/invalid
	CodeConversationLogFailed                 Code = 4311 // history query failed
	CodeConversationLogRejected               Code = 4312 // history query by a non-member
	CodeSystemConversationRequired            Code = 4313 // service conversations only
	CodeNormalConversationRequired            Code = 4314 // normal conversations only
	CodeConversationTemporaryBlacklisted      Code = 4315 // temporarily silenced (JS table: CONVERSATION_BLACKLISTED)
	CodeTransientConversationRequired         Code = 4316 // chat rooms only
	CodeConversationMembershipRequired        Code = 4317 // members only
	CodeConversationAPIQuotaExceeded          Code = 4318 // API quota
	CodeConversationOperationUnauthorized     Code = 4320 // role too low
	CodeUnknownConversationRole               Code = 4321 // bad role text
	CodeConversationMemberInRoleFull          Code = 4322 // role limit reached
	CodeTemporaryConversationExpired          Code = 4323 // made by JS locally from 4303
	CodeConversationNeedOwner                 Code = 4324 // would leave no owner
	CodeConversationMemberInfoFeatureDisabled Code = 4325 // feature off
	CodeInvalidMessagingTarget                Code = 4401 // send: no such conversation / not a member
	CodeMessageRejectedByApp                  Code = 4402 // send refused by hook
	CodeMessageOwnershipRequired              Code = 4403 // edit by another client
	CodeMessageNotFound                       Code = 4404 // edit of unknown message
	CodeMessageUpdateRejectedByApp            Code = 4405 // edit refused by hook
	CodeMessageEditDisabled                   Code = 4406 // feature off
	CodeMessageRecallDisabled                 Code = 4407 // feature off
	CodeMessageModifiedByCensorship           Code = 4408 // content censored (appears negated in `patchCode`)
	CodeBlacklistFull                         Code = 4543 // limit
	CodeBlacklistFeatureDisabled              Code = 4544 // feature off
	CodeBlacklistSignatureFailed              Code = 4546 // signature wrong
	CodeBlockedByConv                         Code = 4548 // client is on the conversation's blacklist
	CodeSilencedMemberListFull                Code = 4561 // shutup limit
	CodeSilenced                              Code = 4563 // sender is muted
	CodeOwnerPromotionNotAllowed              Code = 5130 // JS local only
)

// Name is the symbolic name that clients compare with, such as
// "CONVERSATION_NOT_FOUND". The two spellings "SILIENCED" are the protocol's
// own. An unknown code is its number.
func (c Code) Name() string {
	switch c {
	case CodeAppNotAvailable:
		return "APP_NOT_AVAILABLE"
	case CodeDuplicatedLogin:
		return "DUPLICATED_LOGIN"
	case CodeSignatureFailed:
		return "SIGNATURE_FAILED"
	case CodeInvalidLogin:
		return "INVALID_LOGIN"
	case CodeSessionRequired:
		return "SESSION_REQUIRED"
	case CodeBlacklisted:
		return "BLACKLISTED"
	case CodeReadTimeout:
		return "READ_TIMEOUT"
	case CodeLoginTimeout:
		return "LOGIN_TIMEOUT"
	case CodeFrameTooLong:
		return "FRAME_TOO_LONG"
	case CodeInvalidOrigin:
		return "INVALID_ORIGIN"
	case CodeSessionConflict:
		return "SESSION_CONFLICT"
	case CodeSessionTokenExpired:
		return "SESSION_TOKEN_EXPIRED"
	case CodeAppQuotaExceeded:
		return "APP_QUOTA_EXCEEDED"
	case CodeUnparseableRawMessage:
		return "UNPARSEABLE_RAW_MESSAGE"
	case CodeKickedByApp:
		return "KICKED_BY_APP"
	case CodeMessageSentQuotaExceeded:
		return "MESSAGE_SENT_QUOTA_EXCEEDED"
	case CodeUnbindInstallationFailed:
		return "UNBIND_INSTALLATION_FAILED"
	case CodeInternalError:
		return "INTERNAL_ERROR"
	case CodeSendMessageTimeout:
		return "SEND_MESSAGE_TIMEOUT"
	case CodeConversationInternalError:
		return "CONVERSATION_INTERNAL_ERROR"
	case CodeConversationAPIFailed:
		return "CONVERSATION_API_FAILED"
	case CodeConversationSignatureFailed:
		return "CONVERSATION_SIGNATURE_FAILED"
	case CodeConversationNotFound:
		return "CONVERSATION_NOT_FOUND"
	case CodeConversationFull:
		return "CONVERSATION_FULL"
	case CodeConversationRejectedByApp:
		return "CONVERSATION_REJECTED_BY_APP"
	case CodeConversationUpdateFailed:
		return "CONVERSATION_UPDATE_FAILED"
	case CodeConversationReadOnly:
		return "CONVERSATION_READ_ONLY"
	case CodeConversationNotAllowed:
		return "CONVERSATION_NOT_ALLOWED"
	case CodeConversationUpdateRejected:
		return "CONVERSATION_UPDATE_REJECTED"
	case CodeConversationQueryFailed:
		return "CONVERSATION_QUERY_FAILED"
	case CodeConversationLogFailed:
		return "CONVERSATION_LOG_FAILED"
	case CodeConversationLogRejected:
		return "CONVERSATION_LOG_REJECTED"
	case CodeSystemConversationRequired:
		return "SYSTEM_CONVERSATION_REQUIRED"
	case CodeNormalConversationRequired:
		return "NORMAL_CONVERSATION_REQUIRED"
	case CodeConversationTemporaryBlacklisted:
		return "CONVERSATION_TEMPORARY_BLACKLISTED"
	case CodeTransientConversationRequired:
		return "TRANSIENT_CONVERSATION_REQUIRED"
	case CodeConversationMembershipRequired:
		return "CONVERSATION_MEMBERSHIP_REQUIRED"
	case CodeConversationAPIQuotaExceeded:
		return "CONVERSATION_API_QUOTA_EXCEEDED"
	case CodeConversationOperationUnauthorized:
		return "CONVERSATION_OPERATION_UNAUTHORIZED"
	case CodeUnknownConversationRole:
		return "UNKNOWN_CONVERSATION_ROLE"
	case CodeConversationMemberInRoleFull:
		return "CONVERSATION_MEMBER_IN_ROLE_FULL"
	case CodeTemporaryConversationExpired:
		return "TEMPORARY_CONVERSATION_EXPIRED"
	case CodeConversationNeedOwner:
		return "CONVERSATION_NEED_OWNER"
	case CodeConversationMemberInfoFeatureDisabled:
		return "CONVERSATION_MEMBER_INFO_FEATURE_DISABLED"
	case CodeInvalidMessagingTarget:
		return "INVALID_MESSAGING_TARGET"
	case CodeMessageRejectedByApp:
		return "MESSAGE_REJECTED_BY_APP"
	case CodeMessageOwnershipRequired:
		return "MESSAGE_OWNERSHIP_REQUIRED"
	case CodeMessageNotFound:
		return "MESSAGE_NOT_FOUND"
	case CodeMessageUpdateRejectedByApp:
		return "MESSAGE_UPDATE_REJECTED_BY_APP"
	case CodeMessageEditDisabled:
		return "MESSAGE_EDIT_DISABLED"
	case CodeMessageRecallDisabled:
		return "MESSAGE_RECALL_DISABLED"
	case CodeMessageModifiedByCensorship:
		return "MESSAGE_MODIFIED_BY_CENSORSHIP"
	case CodeBlacklistFull:
		return "BLACKLIST_FULL"
	case CodeBlacklistFeatureDisabled:
		return "BLACKLIST_FEATURE_DISABLED"
	case CodeBlacklistSignatureFailed:
		return "BLACKLIST_SIGNATURE_FAILED"
	case CodeBlockedByConv:
		return "BLOCKED_BY_CONV"
	case CodeSilencedMemberListFull:
		return "SILIENCED_MEMBER_LIST_FULL"
	case CodeSilenced:
		return "SILIENCED"
	case CodeOwnerPromotionNotAllowed:
		return "OWNER_PROMOTION_NOT_ALLOWED"
	}
	return strconv.Itoa(int(c))
}

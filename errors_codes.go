package realtime

import "github.com/leanrtm/realtime/internal/wire"

// The codes of the protocol, named as the server names them.
const (
	ErrAppNotAvailable                       = ErrorCode(wire.CodeAppNotAvailable)                       // unknown app or IM disabled; fatal
	ErrDuplicatedLogin                       = ErrorCode(wire.CodeDuplicatedLogin)                       // push service only
	ErrSignatureFailed                       = ErrorCode(wire.CodeSignatureFailed)                       // login signature wrong
	ErrInvalidLogin                          = ErrorCode(wire.CodeInvalidLogin)                          // malformed or too long client id; fatal
	ErrSessionRequired                       = ErrorCode(wire.CodeSessionRequired)                       // command before session open
	ErrBlacklisted                           = ErrorCode(wire.CodeBlacklisted)                           // client banned from the app
	ErrReadTimeout                           = ErrorCode(wire.CodeReadTimeout)                           // no data from client; retried
	ErrLoginTimeout                          = ErrorCode(wire.CodeLoginTimeout)                          // no session open after connect; retried
	ErrFrameTooLong                          = ErrorCode(wire.CodeFrameTooLong)                          // message over 5 KB / frame too long
	ErrInvalidOrigin                         = ErrorCode(wire.CodeInvalidOrigin)                         // web origin not allowed; fatal
	ErrSessionConflict                       = ErrorCode(wire.CodeSessionConflict)                       // displaced by another device with the same tag
	ErrSessionTokenExpired                   = ErrorCode(wire.CodeSessionTokenExpired)                   // session token invalid
	ErrAppQuotaExceeded                      = ErrorCode(wire.CodeAppQuotaExceeded)                      // too many daily users
	ErrUnparseableRawMessage                 = ErrorCode(wire.CodeUnparseableRawMessage)                 // undecodable frame
	ErrKickedByApp                           = ErrorCode(wire.CodeKickedByApp)                           // REST kick
	ErrMessageSentQuotaExceeded              = ErrorCode(wire.CodeMessageSentQuotaExceeded)              // sending too fast
	ErrUnbindInstallationFailed              = ErrorCode(wire.CodeUnbindInstallationFailed)              // logout could not unbind the device
	ErrInternalError                         = ErrorCode(wire.CodeInternalError)                         // server failure
	ErrSendMessageTimeout                    = ErrorCode(wire.CodeSendMessageTimeout)                    // REST send timed out
	ErrConversationInternalError             = ErrorCode(wire.CodeConversationInternalError)             // server failure
	ErrConversationAPIFailed                 = ErrorCode(wire.CodeConversationAPIFailed)                 // upstream failure, see detail
	ErrConversationSignatureFailed           = ErrorCode(wire.CodeConversationSignatureFailed)           // conversation signature wrong
	ErrConversationNotFound                  = ErrorCode(wire.CodeConversationNotFound)                  // no such conversation / temporary one expired
	ErrConversationFull                      = ErrorCode(wire.CodeConversationFull)                      // member limit
	ErrConversationRejectedByApp             = ErrorCode(wire.CodeConversationRejectedByApp)             // hook refused
	ErrConversationUpdateFailed              = ErrorCode(wire.CodeConversationUpdateFailed)              // update failed
	ErrConversationReadOnly                  = ErrorCode(wire.CodeConversationReadOnly)                  // cannot update or change members
	ErrConversationNotAllowed                = ErrorCode(wire.CodeConversationNotAllowed)                // this client may not send here
	ErrConversationUpdateRejected            = ErrorCode(wire.CodeConversationUpdateRejected)            // update by a non-member
	ErrConversationQueryFailed               = ErrorCode(wire.CodeConversationQueryFailed)               // query too slow/invalid
	ErrConversationLogFailed                 = ErrorCode(wire.CodeConversationLogFailed)                 // history query failed
	ErrConversationLogRejected               = ErrorCode(wire.CodeConversationLogRejected)               // history query by a non-member
	ErrSystemConversationRequired            = ErrorCode(wire.CodeSystemConversationRequired)            // service conversations only
	ErrNormalConversationRequired            = ErrorCode(wire.CodeNormalConversationRequired)            // normal conversations only
	ErrConversationTemporaryBlacklisted      = ErrorCode(wire.CodeConversationTemporaryBlacklisted)      // temporarily silenced (JS table: CONVERSATION_BLACKLISTED)
	ErrTransientConversationRequired         = ErrorCode(wire.CodeTransientConversationRequired)         // chat rooms only
	ErrConversationMembershipRequired        = ErrorCode(wire.CodeConversationMembershipRequired)        // members only
	ErrConversationAPIQuotaExceeded          = ErrorCode(wire.CodeConversationAPIQuotaExceeded)          // API quota
	ErrConversationOperationUnauthorized     = ErrorCode(wire.CodeConversationOperationUnauthorized)     // role too low
	ErrUnknownConversationRole               = ErrorCode(wire.CodeUnknownConversationRole)               // bad role text
	ErrConversationMemberInRoleFull          = ErrorCode(wire.CodeConversationMemberInRoleFull)          // role limit reached
	ErrTemporaryConversationExpired          = ErrorCode(wire.CodeTemporaryConversationExpired)          // made by JS locally from 4303
	ErrConversationNeedOwner                 = ErrorCode(wire.CodeConversationNeedOwner)                 // would leave no owner
	ErrConversationMemberInfoFeatureDisabled = ErrorCode(wire.CodeConversationMemberInfoFeatureDisabled) // feature off
	ErrInvalidMessagingTarget                = ErrorCode(wire.CodeInvalidMessagingTarget)                // send: no such conversation / not a member
	ErrMessageRejectedByApp                  = ErrorCode(wire.CodeMessageRejectedByApp)                  // send refused by hook
	ErrMessageOwnershipRequired              = ErrorCode(wire.CodeMessageOwnershipRequired)              // edit by another client
	ErrMessageNotFound                       = ErrorCode(wire.CodeMessageNotFound)                       // edit of unknown message
	ErrMessageUpdateRejectedByApp            = ErrorCode(wire.CodeMessageUpdateRejectedByApp)            // edit refused by hook
	ErrMessageEditDisabled                   = ErrorCode(wire.CodeMessageEditDisabled)                   // feature off
	ErrMessageRecallDisabled                 = ErrorCode(wire.CodeMessageRecallDisabled)                 // feature off
	ErrMessageModifiedByCensorship           = ErrorCode(wire.CodeMessageModifiedByCensorship)           // content censored (appears negated in `patchCode`)
	ErrBlacklistFull                         = ErrorCode(wire.CodeBlacklistFull)                         // limit
	ErrBlacklistFeatureDisabled              = ErrorCode(wire.CodeBlacklistFeatureDisabled)              // feature off
	ErrBlacklistSignatureFailed              = ErrorCode(wire.CodeBlacklistSignatureFailed)              // signature wrong
	ErrBlockedByConv                         = ErrorCode(wire.CodeBlockedByConv)                         // client is on the conversation's blacklist
	ErrSilencedMemberListFull                = ErrorCode(wire.CodeSilencedMemberListFull)                // shutup limit
	ErrSilenced                              = ErrorCode(wire.CodeSilenced)                              // sender is muted
	ErrOwnerPromotionNotAllowed              = ErrorCode(wire.CodeOwnerPromotionNotAllowed)              // JS local only
)

# tests/live/subscribe.sh - subscriptions with SIPp on both sides: a dialog that SUBSCRIBE begins, and one that outlives its call.
# shellcheck shell=bash

live_subscription() {
	scenario callee callee <<-'.'
		<- SUBSCRIBE has=Event:_presence
		-> 200 hdr=Expires:_600
		-> NOTIFY hdr=Event:_presence hdr=Subscription-State:_active;expires=600
		<- 200
		<- SUBSCRIBE has=Event:_presence
		-> 200 hdr=Expires:_0
		-> NOTIFY hdr=Event:_presence hdr=Subscription-State:_terminated;reason=timeout
		<- 200
		-- 100
		-> NOTIFY hdr=Event:_presence hdr=Subscription-State:_active
		<- 481
	.
	scenario caller caller <<-'.'
		-> SUBSCRIBE hdr=Event:_presence hdr=Expires:_600
		<- 200
		<- NOTIFY has=Subscription-State:_active
		-> 200
		-> SUBSCRIBE hdr=Event:_presence hdr=Expires:_0
		<- 200
		<- NOTIFY has=Subscription-State:_terminated
		-> 200
	.
	one_call
}

# Transferring phones hang up at once and hear afterwards how it went (RFC 5589 §6).
live_refer_and_bye() {
	scenario callee callee <<-'.'
		<- INVITE
		-> 180
		-> 200 sdp
		<- ACK
		<- REFER has=Refer-To
		-> 202
		-> NOTIFY hdr=Event:_refer hdr=Subscription-State:_active;expires=60
		<- 200
		<- BYE
		-> 200
		-- 200
		-> NOTIFY hdr=Event:_refer hdr=Subscription-State:_terminated;reason=noresource
		<- 200
	.
	scenario caller caller <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		-> REFER hdr=Refer-To:_<sip:carol@example.com>
		<- 202
		<- NOTIFY
		-> 200
		-> BYE
		<- 200
		<- NOTIFY has=Subscription-State:_terminated
		-> 200
	.
	one_call
}

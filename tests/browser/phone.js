// tests/browser/phone.js - what both phones have: where they stand, and what of the other side's voice arrives. The test asks `phone`,
// a page's one global of ours; phone-jssip.js and phone-sipjs.js make it from their libraries.
"use strict";

export const ice = { iceServers: [] };

// Chromium's own device: a beep each second.
export function voice() {
	return navigator.mediaDevices.getUserMedia({ audio: true });
}

export class Phone {
	registered = false;
	call = "none";          // calling, ringing, talking, ended
	isHeld = false;         // by the other side
	why = "";
	codes = [];             // final answers to what it sent
	connection = null;      // RTCPeerConnection of the call

	now() {
		return { registered: this.registered, call: this.call, isHeld: this.isHeld, why: this.why, codes: this.codes };
	}

	// Packets of the other side's voice so far.
	async received() {
		let packets = 0;
		if (this.connection)
			for (const report of (await this.connection.getStats()).values())
				if (report.type === "inbound-rtp")
					packets += report.packetsReceived;
		return packets;
	}
}

// tests/browser/phone-jssip.js - a phone by JsSIP.
import { Phone, ice, voice } from "./phone.js";

class JsSipPhone extends Phone {
	open({ server, user, domain, password }) {
		this.ua = new JsSIP.UA({
			sockets: [new JsSIP.WebSocketInterface(server)],
			uri: `sip:${user}@${domain}`,
			password,
			register_expires: 120,
			connection_recovery_min_interval: 1,
			connection_recovery_max_interval: 2,
		});
		this.domain = domain;
		this.ua.on("registered", () => { this.registered = true; });
		this.ua.on("disconnected", () => { this.registered = false; });
		this.ua.on("unregistered", () => { this.registered = false; });
		this.ua.on("newRTCSession", ({ session }) => this.take(session));
		this.ua.start();
	}

	take(session) {
		this.session = session;
		this.call = session.direction === "incoming" ? "ringing" : "calling";
		this.connection = session.connection || null;
		session.on("peerconnection", (e) => { this.connection = e.peerconnection; });
		session.on("confirmed", () => { this.call = "talking"; });
		session.on("hold", (e) => { if (e.originator === "remote") this.isHeld = true; });
		session.on("unhold", (e) => { if (e.originator === "remote") this.isHeld = false; });
		session.on("ended", (e) => this.over(session, e.cause));
		session.on("failed", (e) => this.over(session, e.cause));
		session.on("refer", async (e) => {
			const stream = await voice();
			e.accept((fresh) => this.take(fresh), { mediaStream: stream, pcConfig: ice });
		});
	}

	over(session, why) {
		if (session === this.session) {
			this.call = "ended";
			this.why = why;
		}
	}

	async dial(user) {
		this.ua.call(`sip:${user}@${this.domain}`, { mediaStream: await voice(), pcConfig: ice });
	}

	async answer() {
		this.session.answer({ mediaStream: await voice(), pcConfig: ice });
	}

	hold() {
		return new Promise((done) => this.session.hold({}, done));
	}

	resume() {
		return new Promise((done) => this.session.unhold({}, done));
	}

	// Resolves when the transfer target has answered.
	refer(user) {
		return new Promise((done, fail) => this.session.refer(`sip:${user}@${this.domain}`, {
			eventHandlers: { accepted: done, failed: () => fail(new Error("the transfer failed")) },
		}));
	}

	hangup() {
		if (!this.session.isEnded())
			this.session.terminate();
	}

	close() {
		this.ua.stop();
	}
}

window.phone = new JsSipPhone();

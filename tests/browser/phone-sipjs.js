// tests/browser/phone-sipjs.js - a phone by SIP.js. It does not come back by itself: its user has to (`reconnect`).
import { Inviter, Registerer, SessionState, UserAgent, Web } from "sip.js";
import { Phone, ice } from "./phone.js";

const RETRY_MS = 1000;

class SipJsPhone extends Phone {
	open({ server, user, domain, password }) {
		this.domain = domain;
		this.agent = new UserAgent({
			uri: UserAgent.makeURI(`sip:${user}@${domain}`),
			transportOptions: { server },
			authorizationUsername: user,
			authorizationPassword: password,
			logLevel: "warn",
			sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: ice, iceGatheringTimeout: 1000 },
			delegate: {
				onInvite: (invitation) => this.take(invitation, "ringing"),
				onConnect: () => this.registerer.register({ requestDelegate: { onAccept: () => { this.registered = true; } } }),
				onDisconnect: (error) => { this.registered = false; if (error) this.comeBack(); },
			},
		});
		this.registerer = new Registerer(this.agent, { expires: 120 });
		return this.agent.start();
	}

	comeBack() {
		setTimeout(() => this.agent.reconnect().catch(() => this.comeBack()), RETRY_MS);
	}

	take(session, call) {
		this.session = session;
		this.call = call;
		session.stateChange.addListener((state) => this.moved(session, state));
		session.delegate = {
			onSessionDescriptionHandler: (handler) => {
				this.connection = handler.peerConnection;
			},
			onInvite: (request) => { this.isHeld = /a=(sendonly|inactive)/.test(request.body); },
			onRefer: async (referral) => {
				await referral.accept();
				const inviter = referral.makeInviter({ sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } });
				this.take(inviter, "calling");
				inviter.invite();
			},
		};
	}

	moved(session, state) {
		if (session !== this.session)
			return;
		if (state === SessionState.Established)
			this.call = "talking";
		else if (state === SessionState.Terminated)
			this.call = "ended";
	}

	dial(user) {
		const inviter = new Inviter(this.agent, UserAgent.makeURI(`sip:${user}@${this.domain}`), {
			sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } },
		});
		this.take(inviter, "calling");
		return inviter.invite().then(() => undefined);
	}

	answer() {
		return this.session.accept({ sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } });
	}

	// A re-INVITE with or without the hold; resolves by its final answer.
	offer(is_held) {
		return new Promise((done, fail) => {
			this.session.sessionDescriptionHandlerOptionsReInvite = { hold: is_held };
			this.session.invite({
				requestDelegate: { onAccept: () => done(), onReject: (r) => fail(new Error(`refused: ${r.message.statusCode}`)) },
				sessionDescriptionHandlerModifiers: is_held ? [Web.holdModifier] : [],
			}).catch(fail);
		});
	}

	hold() {
		return this.offer(true);
	}

	resume() {
		return this.offer(false);
	}

	refer(user) {
		return new Promise((done, fail) => this.session.refer(UserAgent.makeURI(`sip:${user}@${this.domain}`), {
			onNotify: (notification) => {
				notification.accept();
				if (/^SIP\/2.0 2/m.test(notification.request.body))
					done();
				else if (/^SIP\/2.0 [3-6]/m.test(notification.request.body))
					fail(new Error(notification.request.body));
			},
		}));
	}

	hangup() {
		return this.session.state === SessionState.Established ? this.session.bye() : this.session.cancel();
	}

	async close() {
		await this.registerer.unregister();
		await this.agent.stop();
	}
}

window.phone = new SipJsPhone();

// admin/demo/demo.js - a phone on one page: registers, calls, answers, holds. SIP and media are JsSIP's and the browser's.
"use strict";

const $ = (id) => document.getElementById(id);
const EVENTS_MAX = 200;

let ua = null;
let session = null;
let tone = null; // a stream that hums, made when it is first wanted
let clock = 0;

const host = /^(localhost|\[::1\]|)$/.test(location.hostname) ? "127.0.0.1" : location.hostname;
const plain = `ws://${host}:8088`;

function note(text) {
	const line = document.createElement("li");
	line.textContent = `${new Date().toTimeString().slice(0, 8)} ${text}`;
	$("events").append(line);
	while ($("events").childElementCount > EVENTS_MAX)
		$("events").firstElementChild.remove();
}

function show(id, state, text) {
	$(id).dataset.state = state;
	$(id).textContent = text;
}

// What is asked in the address wins, then what was used last in this tab, then what fits `make run`.
function fill() {
	const asked = new URLSearchParams(location.search);
	const servers = [`wss://${host}:8443`, plain];
	const user = asked.get("user") || sessionStorage.getItem("user") || "alice";

	$("user").value = user;
	$("domain").value = asked.get("domain") || sessionStorage.getItem("domain") || host;
	$("server").value = asked.get("server") || sessionStorage.getItem("server") || servers[0];
	$("callee").value = asked.get("call") || (user === "bob" ? "alice" : "bob");
	$("tone").checked = asked.has("tone");
	$("servers").append(...servers.map((url) => new Option(url)));
	asked.set("user", user === "bob" ? "alice" : "bob");
	$("other").href = `?${asked}`;
}

// The account --------------------------------------------------------------------------------------------------

function accountShows(state, text) {
	const is_on = state === "on";
	show("account-state", state, text);
	note(text);
	$("call").disabled = !is_on || session !== null;
	$("register").hidden = ua !== null;
	$("unregister").hidden = ua === null;
	document.title = is_on ? `${$("user").value} · sbc` : "sbc: call from a browser";
}

// The connection never was. Over TLS that is what a page hears when the browser does not know the certificate; only the user is asked.
function unreached(server) {
	const page = server.replace(/^wss:/i, "https:");

	if (page !== server) {
		$("unreached-server").textContent = server;
		$("unreached-page").href = $("unreached-page").textContent = page;
		$("plainly").hidden = location.protocol === "https:"; // such a page may not
		$("unreached").hidden = false;
	}
}

function register() {
	const server = $("server").value;
	let was_connected = false;

	for (const id of ["user", "domain", "server"])
		sessionStorage.setItem(id, $(id).value);
	const fresh = ua = new JsSIP.UA({
		sockets: [new JsSIP.WebSocketInterface(server)],
		uri: `sip:${$("user").value}@${$("domain").value}`,
		password: $("password").value || undefined,
		register_expires: 300,
		connection_recovery_min_interval: 1,
		connection_recovery_max_interval: 10,
	});
	const on = (event, then) => fresh.on(event, (e) => ua === fresh && then(e)); // one that was left says nothing more
	on("connecting", () => accountShows("off", "connecting"));
	on("connected", () => {
		was_connected = true;
		$("unreached").hidden = true;
		accountShows("off", "connected, registering");
	});
	on("disconnected", () => {
		accountShows("bad", `no connection to ${server}; it is tried again`);
		if (!was_connected)
			unreached(server);
	});
	on("registered", () => accountShows("on", `registered as ${$("user").value}`));
	on("unregistered", () => accountShows("off", "not registered"));
	on("registrationFailed", (e) => accountShows("bad", `refused: ${e.cause}`));
	on("newRTCSession", (e) => begin(e.session));
	fresh.start();
}

function leave() {
	const old = ua;
	ua = null;
	if (session)
		session.terminate();
	old.stop();
	$("unreached").hidden = true;
	accountShows("off", "not registered");
}

function withoutTls() {
	if (ua)
		leave();
	$("server").value = plain;
	register();
}

// What is sent -------------------------------------------------------------------------------------------------

function hum() {
	if (!tone) {
		const context = new AudioContext();
		const source = context.createOscillator();
		const level = context.createGain();
		const out = context.createMediaStreamDestination();
		source.frequency.value = 440;
		level.gain.value = 0.1;
		source.connect(level).connect(out);
		source.start();
		tone = out.stream;
	}
	return tone.clone();
}

// Without a microphone, or without leave to use it, a tone tells that media flows.
async function voice() {
	if (!$("tone").checked && navigator.mediaDevices) {
		try {
			return await navigator.mediaDevices.getUserMedia({ audio: true });
		} catch (e) {
			note(`no microphone (${e.name}): a tone instead`);
		}
	}
	return hum();
}

// The call -----------------------------------------------------------------------------------------------------

function callShows(state, text) {
	show("call-state", state, text);
	note(text);
}

function listenTo(connection) {
	connection.addEventListener("track", (e) => {
		$("audio").srcObject = e.streams[0] || new MediaStream([e.track]);
	});
}

function startClock() {
	const since = Date.now();
	clock = setInterval(() => {
		const s = Math.floor((Date.now() - since) / 1000);
		$("lasting").textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
	}, 500);
}

function onTalk() {
	callShows("on", "talking");
	startClock();
	$("answer").hidden = true;
	$("hold").hidden = $("mute").hidden = false;
	$("hold").focus();
}

function onHold() {
	const on_hold = session.isOnHold();
	$("hold").setAttribute("aria-pressed", on_hold.local);
	$("hold").textContent = on_hold.local ? "Resume" : "Hold";
	callShows(on_hold.local || on_hold.remote ? "off" : "on",
		on_hold.local ? "on hold" : on_hold.remote ? "the other side holds" : "talking");
}

function onMute() {
	const is_muted = session.isMuted().audio;
	$("mute").setAttribute("aria-pressed", is_muted);
	$("mute").textContent = is_muted ? "Unmute" : "Mute";
}

function onEnd(text) {
	clearInterval(clock);
	session = null;
	callShows("off", text);
	for (const id of ["answer", "hold", "mute", "hangup"])
		$(id).hidden = true;
	$("audio").srcObject = null;
	$("call").disabled = !ua || !ua.isRegistered();
	$("callee").focus();
}

function begin(fresh) {
	const is_incoming = fresh.direction === "incoming";
	if (session) {
		fresh.terminate({ status_code: 486 });
		return;
	}
	session = fresh;
	$("now").hidden = $("hangup").hidden = false;
	$("answer").hidden = !is_incoming;
	$("hold").hidden = $("mute").hidden = true;
	$("hold").textContent = "Hold";
	$("mute").textContent = "Mute";
	$("lasting").textContent = "";
	$("call").disabled = true;
	$("peer").textContent = `${is_incoming ? "From" : "To"} ${fresh.remote_identity.uri.user || fresh.remote_identity.uri.host}`;
	callShows("off", is_incoming ? "rings" : "calling");
	(is_incoming ? $("answer") : $("hangup")).focus();
	if (fresh.connection)
		listenTo(fresh.connection);
	fresh.on("peerconnection", (e) => listenTo(e.peerconnection));
	fresh.on("progress", () => is_incoming || callShows("off", "rings there"));
	fresh.on("confirmed", onTalk);
	for (const event of ["hold", "unhold"])
		fresh.on(event, onHold);
	for (const event of ["muted", "unmuted"])
		fresh.on(event, onMute);
	fresh.on("ended", (e) => onEnd(e.originator === "local" ? "you hung up" : "the other side hung up"));
	fresh.on("failed", (e) => onEnd(`not connected: ${e.cause}`));
}

async function call() {
	const who = $("callee").value.includes("@") ? $("callee").value : `${$("callee").value}@${$("domain").value}`;
	$("call").disabled = true;
	const stream = await voice();
	if (ua && !session)
		ua.call(`sip:${who.replace(/^sip:/, "")}`, { mediaStream: stream, pcConfig: { iceServers: [] } });
}

async function answer() {
	const ringing = session;
	$("answer").hidden = true;
	const stream = await voice();
	if (session === ringing && ringing)
		ringing.answer({ mediaStream: stream, pcConfig: { iceServers: [] } });
}

// The page -----------------------------------------------------------------------------------------------------

function main() {
	fill();
	if (!window.JsSIP) {
		$("missing").hidden = false;
		$("register").disabled = true;
		return;
	}
	$("account").addEventListener("submit", (e) => { e.preventDefault(); if (!ua) register(); });
	$("unregister").addEventListener("click", leave);
	$("plainly").addEventListener("click", withoutTls);
	$("dial").addEventListener("submit", (e) => { e.preventDefault(); call(); });
	$("answer").addEventListener("click", answer);
	$("hangup").addEventListener("click", () => session && session.terminate());
	$("hold").addEventListener("click", () => session && (session.isOnHold().local ? session.unhold() : session.hold()));
	$("mute").addEventListener("click", () => session && (session.isMuted().audio ? session.unmute() : session.mute()));
	window.addEventListener("pagehide", () => ua && leave());
}

main();

# bench/registrar.sh - the parts of bench/run about registrations. docs/bench.md says what they do and why.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # what bench/run has, and reads
readonly REGISTRANTS=$BUILD/bench/bench-registrants
CLIENTS=${CLIENTS:-20000}               # of the `register` part
BINDINGS=${BINDINGS:-1000000}           # of the `bindings` part
WAVE=${WAVE:-100000}                    # clients of the `wave` part
PINGED=${PINGED:-100000}                # of the `pings` part
readonly WAVE_RATE=5000                 # REGISTERs a second that the SBC lets in then
declare -A REGISTRANTS_IN REGISTRANTS_PID REGISTRANTS_READ

# start_registrants NAME OPTION... - clients for the target of that name; CLIENT is another program than usual.
start_registrants() {
	local name=$1 pin=() in
	shift
	[[ -z $LOAD_CPU ]] || pin=(taskset -c "$LOAD_CPU")
	: >"$DIR/$name.out"
	exec {in}> >(exec ${pin[@]+"${pin[@]}"} "${CLIENT:-$REGISTRANTS}" "$@" >"$DIR/$name.out" 2>"$DIR/$name.clients.err")
	REGISTRANTS_PID[$name]=$!
	REGISTRANTS_IN[$name]=$in
	REGISTRANTS_READ[$name]=0
	PIDS+=("$!")
}

stop_registrants() {
	local in=${REGISTRANTS_IN[$1]}
	[[ ! -s $DIR/$1.clients.err ]] || void "the clients of $1: $(head -c 1000 "$DIR/$1.clients.err")"
	exec {in}>&-
	stop "${REGISTRANTS_PID[$1]}"
}

# ask NAME COMMAND... - of those clients; answered NAME waits for their next line, in LINE. Void unless all went well.
ask() { echo "${*:2}" >&"${REGISTRANTS_IN[$1]}"; }
answered() {
	while (($(wc -l <"$DIR/$1.out") <= REGISTRANTS_READ[$1])); do
		if ! kill -0 "${REGISTRANTS_PID[$1]}" 2>/dev/null; then
			say "bench: the clients of $1 ended: $(cat "$DIR/$1.clients.err")"
			exit 1
		fi
		sleep 0.1
	done
	REGISTRANTS_READ[$1]=$((REGISTRANTS_READ[$1] + 1))
	LINE=$(sed -n "${REGISTRANTS_READ[$1]}p" "$DIR/$1.out")
	[[ $(field good) == true ]] || void "$1: $LINE"
}

# start_sbc_registrar NAME WORKERS - with DOMAIN as the domain's settings.
start_sbc_registrar() {
	local CONF=bench/registrar.yaml.in
	start_sbc "$@"
}

# measure_refresh NAME PID - every client of that target registers anew; one line "ROUND NAME NS" in cpu.
measure_refresh() {
	local ns
	ns=$(cpu_ns "$2")
	ask "$1" register "$RATE"
	answered "$1"
	ns=$((($(cpu_ns "$2") - ns) / $(field clients)))
	echo "$ROUND $1 $ns" >>"$DIR/cpu"
	say "round $ROUND: $1 $ns ns per REGISTER"
}

# A refresh, one worker each, on one core, the clients polling on the other.
part_register() {
	local RATE=10000 name port
	local -A target
	: >"$DIR/cpu"
	start_load
	port=$(free_ports 1)
	PORT=$(free_ports 1)
	started relay "$TARGET_CPU" "$RELAY" "127.0.0.1:$PORT" "127.0.0.1:$port"
	target[relay]=$PID
	start_registrants relay -t "127.0.0.1:$PORT" -n "$CLIENTS" -b -l "127.0.0.1:$port"
	DOMAIN='auth: none' start_sbc_registrar plain 1
	target[plain]=$PID
	start_registrants plain -t "127.0.0.1:$PORT" -n "$CLIENTS" -b
	"$REGISTRANTS" users "$CLIENTS" secret >"$DIR/users"
	DOMAIN="auth: { users: \"$DIR/users\" }" start_sbc_registrar digest 1
	target[digest]=$PID
	start_registrants digest -t "127.0.0.1:$PORT" -n "$CLIENTS" -b -p secret
	start_kamailio kamailio registrar
	target[kamailio]=$PID
	start_registrants kamailio -t "127.0.0.1:$PORT" -n "$CLIENTS" -b
	sleep 1
	ROUND=0
	for name in "${!target[@]}"; do measure_refresh "$name" "${target[$name]}"; done # those are the first ones
	sed -i '/^0 /d' "$DIR/cpu"
	for ((ROUND = 1; ROUND <= ROUNDS; ROUND++)); do
		for name in relay plain digest kamailio relay; do measure_refresh "$name" "${target[$name]}"; done
	done
	for name in "${!target[@]}"; do
		stop_registrants "$name"
		stop "${target[$name]}"
	done
	stop_load
	row_us 'CPU per REGISTER refresh, bare relay, both packets' relay
	row_us 'CPU per REGISTER refresh, sbc' plain
	row_us 'CPU per REGISTER refresh, sbc, digest with SHA-256' digest
	row_us 'CPU per REGISTER refresh, Kamailio, in memory' kamailio
	judged '  sbc / relay' 2.0 "$(ratio_of plain relay)"
	judged '  sbc / Kamailio' 0.5 "$(ratio_of plain kamailio)"
}

# A million clients register, each from an address of its own.
part_bindings() {
	local DOMAIN='auth: none' KEEPALIVE='{ every: 10m }' start
	start_load
	start_sbc_registrar bindings 1
	start_registrants bindings -t "127.0.0.1:$PORT" -n "$BINDINGS" -s -w 500
	sleep 1
	ask bindings register 1000 1000
	answered bindings
	start=$(pss_bytes "$PID")
	ask bindings register 20000
	answered bindings
	judged "bytes per binding, $BINDINGS of them" 600 $((($(pss_bytes "$PID") - start) / (BINDINGS - 1000)))
	slabs bindings
	stop_registrants bindings
	stop "$PID"
	stop_load
}

# Everybody comes back within ten seconds, while calls go on; the SBC lets in WAVE_RATE a second.
part_wave() {
	local DOMAIN="auth: none, rate: $WAVE_RATE/s" TARGET_CPU='' LOAD_CPU='' seconds
	start_load
	start_sbc_registrar wave 2
	start_registrants wave -t "127.0.0.1:$PORT" -n "$WAVE"
	sleep 1
	ask wave register "$WAVE_RATE"
	answered wave
	printf -- '-t 127.0.0.1:%s -n %s -c 100 -p 4\n' "$PORT" 4000 >&"$LOAD_IN"
	sleep 2
	ask wave register $((WAVE / 10))
	answered wave
	seconds=$(field seconds)
	say "wave: $LINE"
	load_line
	[[ $(field good) == true ]] || void "calls during the wave: $LINE"
	judged "$WAVE clients come back within 10 s, $WAVE_RATE/s are let in: seconds" \
		$((WAVE * 12 / WAVE_RATE / 10)) "$seconds"
	judged '  calls of 100/s that failed meanwhile' 0 "$(field failed)"
	stop_registrants wave
	stop "$PID"
	stop_load
}

# seconds_of PID SECONDS - nanoseconds on a CPU, second by second.
seconds_of() {
	local last now i
	last=$(cpu_ns "$1")
	for ((i = 0; i < $2; i++)); do
		sleep 1
		now=$(cpu_ns "$1")
		echo $((now - last))
		last=$now
	done
}

# Contacts at addresses of their own are pinged every 30 s, some on connections: as many as descriptors allow. A minute of it.
part_pings() {
	local DOMAIN='auth: none' KEEPALIVE='{ every: 30s }' TARGET_CPU='' LOAD_CPU='' sampler flows
	flows=$(($(ulimit -Hn) - 1000))
	((flows < PINGED)) || flows=$PINGED
	start_load
	start_sbc_registrar pings 2
	start_registrants pings -t "127.0.0.1:$PORT" -n "$PINGED" -f "$flows" -s -w 500
	sleep 1
	ask pings register 10000
	answered pings
	ask pings connect 2000
	answered pings
	sleep 45
	ask pings stay 60
	seconds_of "$PID" 60 >"$DIR/seconds" &
	sampler=$!
	answered pings
	wait "$sampler"
	row "pings of $PINGED contacts and $flows connections: a second" "$(awk -v n="$(field pings)" 'BEGIN { printf "%.0f", n / 60 }')" '' '' ''
	judged '  busiest 100 ms / mean' 1.5 "$(field most_over_mean)"
	judged '  CPU of the busiest second / mean' 1.5 "$(awk '
		{ sum += $1; if ($1 > most) most = $1 }
		END { printf "%.2f", sum ? most * NR / sum : 0 }' "$DIR/seconds")"
	row '  CPU of a second' "$(awk '{ sum += $1 } END { printf "%.1f", sum / NR / 1e6 }' "$DIR/seconds")" '' ms ''
	stop_registrants pings
	stop "$PID"
	stop_load
}

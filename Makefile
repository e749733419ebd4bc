# Names for what tools/ and CMake's presets do; nothing is decided here. `make help` lists them.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := build
DESTDIR ?=
PREFIX ?= /usr/local
.PHONY: help build run demo test check mutants bench soak-tls install format clean

help:                ## this list
	@sed -n 's/^\([a-z-]*\): *\(.*\)## \(.*\)/  make \1\t\3/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

build:               ## build/sbc and build/sbcctl, release, and a certificate for conf/sbc.yaml
	@tools/need build
	@tools/build release

run:                 ## build, start the SBC and two demo servers, place a call, show it; ONCE=1: and end with 0 or 1
	@tools/need build run
	@ONCE=$(ONCE) tools/run

demo:                ## the demo page's script from npm, once; `make run` serves the page
	@tools/need demo
	@tools/demo

test:                ## everything that proves it; SUITE="fast storm live browser run" chooses
	@tools/need build run test browser
	@tools/test $(SUITE)

check:               ## format, analysers, sanitizers, allocation failures, fuzz smoke; SUITE=... chooses
	@tools/need build check
	@tools/check $(SUITE)

mutants:             ## breaks each rewrite and timer once in a copy and expects tests to notice; SUITE=gate: what the hiding gate sees
	@tools/need build
	@tools/mutants $(SUITE)

bench:               ## our figures beside a bare relay's and Kamailio's
	@tools/need build bench
	@tools/build release
	@bench/run

soak-tls:            ## 50 TLS connections with 400 calls/s for a minute (SOAK_S), under ASan
	@tools/need build test
	@tools/build asan
	@SOAK_S=$${SOAK_S:-60} LIVE_TIMEOUT=400 SBC=$(CURDIR)/build/asan/sbc SBCCTL=$(CURDIR)/build/asan/sbcctl tests/live/run live_load_soak_tls

install: build       ## into $(DESTDIR)$(PREFIX)
	@DESTDIR=$(DESTDIR) cmake --install build --prefix $(PREFIX)

format:              ## clang-format over our sources
	@tools/need check
	@tools/format

clean:               ## remove build/
	@rm -rf build

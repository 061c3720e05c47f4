# Tapglass. `make help` lists the targets, V=1 shows full command lines.
#
# A configuration is one set of flags with its own object directory, build/<config>/:
# release (the default), asan (gcc, ASan + UBSan), clang (release flags, the other compiler), tsan,
# fuzz (clang, ASan + UBSan, instrumented for libFuzzer).
# What is for use lands in build/ itself when the configuration is release: build/tapglass,
# build/libtapglass.a, build/libtapglass.so, build/libtapglass-packetdrill.so.

CONFIG ?= release
PKG_CONFIG ?= pkg-config
OBJCOPY ?= objcopy

B := build/$(CONFIG)
ifeq ($(CONFIG),release)
OUT := build
else
OUT := $(B)
endif

# ---- Flags ---------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wswitch-enum -Wvla -Wundef \
	-Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -fno-common -Werror
OPT := -O2 -g
SAN :=

ifeq ($(CONFIG),release)
else ifeq ($(CONFIG),clang)
CC := clang
else ifeq ($(CONFIG),asan)
OPT := -O1 -g -fno-omit-frame-pointer
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all
else ifeq ($(CONFIG),tsan)
OPT := -O1 -g -fno-omit-frame-pointer
SAN := -fsanitize=thread
else ifeq ($(CONFIG),fuzz)
CC := clang
OPT := -O1 -g -fno-omit-frame-pointer
SAN := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
else
$(error CONFIG=$(CONFIG) is unknown: release, asan, clang, tsan or fuzz)
endif

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq (,$(findstring clang,$(CC)))
WARN += -Wcast-align=strict
endif

# Position independent throughout, so that one set of objects makes the archive and the .so. Hidden unless marked
# TG_API: what is not in a public header cannot be reached from outside.
BASE_CFLAGS := -std=c11 $(OPT) $(WARN) $(SAN) -fPIC -fvisibility=hidden -Istack
LDFLAGS_ALL = $(SAN) $(LDFLAGS)

# Asked only when needed: the library alone needs neither pkg-config nor json-c.
JSON_CFLAGS = $(shell $(PKG_CONFIG) --cflags json-c)
JSON_LIBS = $(shell $(PKG_CONFIG) --libs json-c)
# Comes without a .pc file.
WSLAY_LIBS := -lwslay
EDIT_LIBS := -ledit
CHECK_CFLAGS = $(shell $(PKG_CONFIG) --cflags check)
CHECK_LIBS = $(shell $(PKG_CONFIG) --libs check)

# ---- Sources: every file of a folder takes part ----------------------------------------------------

ADAPTER_SRC := $(sort $(wildcard stack/packetdrill/*.c))
STACK_SRC := $(filter-out $(ADAPTER_SRC),$(sort $(wildcard stack/*/*.c)))
APPS_SRC := $(sort $(wildcard apps/*.c))
TEST_DIRS := unit sim diff
TEST_SRC := $(sort $(foreach d,$(TEST_DIRS),$(wildcard tests/$d/test_*.c)))
HELP_SRC := $(filter-out $(TEST_SRC),$(sort $(foreach d,$(TEST_DIRS),$(wildcard tests/$d/*.c))))
# One program of several files, built twice: see tests/net/transcript.sh.
TRANSCRIPT_SRC := $(sort $(wildcard tests/net/transcript*.c))
TOOL_SRC := $(filter-out $(TRANSCRIPT_SRC),$(sort $(wildcard tests/net/*.c)))
# What make bench runs: the load generator, what it talks to. The peers need libraries, see below.
BENCH := $(addprefix $(B)/tests/bench/,load kernel_serve bare stack_serve)
BENCH_PEERS := $(addprefix $(B)/tests/bench/,lwip_host gvisor_host)
BENCH_SRC := $(addprefix tests/bench/,load.c load_tcp.c load_udp.c kernel_serve.c bare.c bench_tap.c stack_serve.c)
EXAMPLE_SRC := $(sort $(wildcard apps/examples/*.c))
# What connections cost an instance, without a device: sees inside.
CONN_COST := $(B)/tests/bench/conn_cost
FUZZ_HELP := tests/fuzz/fuzz_support.c
FUZZ_SRC := $(filter-out $(FUZZ_HELP),$(sort $(wildcard tests/fuzz/fuzz_*.c)))

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
STACK_OBJ := $(call obj,$(STACK_SRC))
ADAPTER_OBJ := $(call obj,$(ADAPTER_SRC))
APPS_OBJ := $(call obj,$(APPS_SRC))
TEST_OBJ := $(call obj,$(TEST_SRC))
HELP_OBJ := $(call obj,$(HELP_SRC))
TOOL_OBJ := $(call obj,$(TOOL_SRC))
BENCH_OBJ := $(call obj,$(BENCH_SRC))
FUZZ_OBJ := $(call obj,$(FUZZ_SRC) $(FUZZ_HELP))

TESTS := $(patsubst %.c,$(B)/%,$(TEST_SRC))
TOOLS := $(patsubst %.c,$(B)/%,$(TOOL_SRC))
TRANSCRIPTS := $(B)/tests/net/transcript_kernel $(B)/tests/net/transcript_tapglass
EXAMPLE_OBJ := $(call obj,$(EXAMPLE_SRC))
EXAMPLES := $(patsubst apps/%.c,$(OUT)/%,$(EXAMPLE_SRC))
FUZZERS := $(patsubst %.c,$(B)/%,$(FUZZ_SRC))

LIB_A := $(OUT)/libtapglass.a
LIB_SO := $(OUT)/libtapglass.so
SONAME := libtapglass.so.0
LIB_SO_0 := $(OUT)/$(SONAME)
# What packetdrill loads: see stack/packetdrill.
ADAPTER_SO := $(OUT)/libtapglass-packetdrill.so
ADAPTER_MAP := stack/packetdrill/exports.map
PROGRAM := $(OUT)/tapglass

PREFIX ?= /usr/local
INSTALLER = OUT='$(OUT)' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SONAME=$(SONAME) scripts/install

# ---- What people type ------------------------------------------------------------------------------

.PHONY: all lib run install uninstall tests check check-fast check-unit check-sim check-diff check-drill check-net check-style \
	bench bench-quick bench-programs bench-conn fuzzers fuzz soak sim-tables mutate conformance clean help
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

ifeq (,$(filter -j%,$(MAKEFLAGS)))
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif
ifneq (,$(filter clean,$(MAKECMDGOALS)))
.NOTPARALLEL:
endif

all: lib $(ADAPTER_SO) $(PROGRAM) $(EXAMPLES) ## the library, packetdrill's adapter and the program
ifeq ($(CONFIG),release)
all: tapglass
tapglass: | $(PROGRAM)
	@ln -sfn $(PROGRAM) $@
endif

lib: $(LIB_A) $(LIB_SO) ## the library alone: needs gcc, make and libc

run: ## installs what is missing, builds, brings the stack up
	@scripts/deps.sh build
	@$(MAKE) --no-print-directory all
	@./tapglass up

install: all ## into PREFIX (default /usr/local), below DESTDIR if that is set
	@$(INSTALLER) install

uninstall: ## removes what install put there
	@$(INSTALLER) uninstall

tests: all $(TESTS) $(TOOLS) $(TRANSCRIPTS) $(BENCH) $(CONN_COST) ## builds the test programs

check: ## every test there is; ends with the count
	@scripts/deps.sh check
	@$(MAKE) --no-print-directory CONFIG=release tests
	@$(MAKE) --no-print-directory CONFIG=clang tests
	@$(MAKE) --no-print-directory CONFIG=asan tests
	@$(MAKE) --no-print-directory CONFIG=tsan build/tsan/tests/unit/test_bsd_threads build/tsan/tests/unit/test_ring \
		$(patsubst %,build/tsan/tests/unit/test_packetdrill_%,so block run)
	@$(MAKE) --no-print-directory CONFIG=fuzz fuzzers
	@scripts/run-tests style house unit:release unit:asan unit:valgrind unit:tsan sim:release sim:asan \
		diff:release diff:asan drill:release drill:asan nets:release fuzz:20 net clauses

check-fast: tests ## the tests that need no privilege and no namespace, release build only
	@scripts/run-tests style house unit:$(CONFIG) sim:$(CONFIG) diff:$(CONFIG) drill:$(CONFIG)

check-unit: tests ## unit tests (CONFIG=asan: with the sanitizers)
	@scripts/run-tests unit:$(CONFIG)

check-sim: tests ## stacks on a virtual wire, thousands of seeds
	@scripts/run-tests sim:$(CONFIG)

check-diff: tests ## two ways to the same result, side by side
	@scripts/run-tests diff:$(CONFIG)

check-drill: tests ## packet scripts
	@scripts/run-tests drill:$(CONFIG)

check-net: tests ## against this machine's kernel, in namespaces
	@scripts/run-tests net

check-style: all ## layers, symbols, form
	@scripts/run-tests style

bench-quick: ## measured beside the kernel, lwIP and gVisor, in 8 minutes: table, build/bench/results.json, .svg
	@$(MAKE) --no-print-directory CONFIG=release bench-programs
	@tests/bench/bench.py --quick

bench: ## the same with longer runs and more of them, in an hour at most
	@$(MAKE) --no-print-directory CONFIG=release bench-programs
	@tests/bench/bench.py

# A peer that cannot be had is left out of the run, which says why.
bench-programs: all $(BENCH) $(CONN_COST)
	@scripts/deps.sh bench || echo "tapglass: going on with what is there"
	@-$(MAKE) --no-print-directory -k $(BENCH_PEERS)

fuzz: ## hostile frames and calls, SECONDS (default 300) for each target, corpus in build/fuzz
	@$(MAKE) --no-print-directory CONFIG=fuzz fuzzers
	@scripts/run-tests fuzz:$(or $(SECONDS),300)

soak: tests ## random worlds with fresh seeds for SECONDS (default 3600); stops at the first that fails
	@scripts/soak --seconds $(or $(SECONDS),3600) --config $(CONFIG) $(if $(JOBS),--jobs $(JOBS))

sim-tables: all ## writes tests/sim/net/tables anew: utilisation and fairness over a grid of networks
	@scripts/sim-tables

bench-conn: $(CONN_COST) ## what connections cost: bytes and ns an event, up to a million of them (two minutes)
	@$(CONN_COST)

mutate: ## switches tagged branches off one by one; which does no test miss? FILES='stack/tcp/tcp_ack.c' for some
	@scripts/mutate $(if $(JOBS),-j $(JOBS)) $(FILES)

conformance: ## writes stack/CONFORMANCE.md anew
	@scripts/rfc-coverage

ifeq ($(CONFIG),fuzz)
fuzzers: $(FUZZERS)
endif

clean: ## removes everything that was built
	@rm -rf build tapglass

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

# ---- Rules -----------------------------------------------------------------------------------------

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @echo "  $(1) $(2)"
endif

$(B)/obj/%.o: %.c Makefile
	$(call say,CC,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(EXTRA) $(CFLAGS) -MMD -MP -c -o $@ $<

$(APPS_OBJ) $(call obj,$(filter tests/unit/%,$(TEST_SRC) $(HELP_SRC))): EXTRA = $(JSON_CFLAGS)
$(TEST_OBJ) $(HELP_OBJ): EXTRA += $(CHECK_CFLAGS) -Iapps

# What `tapglass step` lists beside a clause: the list of clauses and the sources themselves, as they were compiled.
# And its lessons, and which tests show which move between states (`tapglass states`).
LISTED := tests/clauses.tsv tests/moves.tsv $(filter-out stack/port/%,$(STACK_SRC)) $(sort $(wildcard stack/*/*.h)) \
	$(sort $(wildcard tests/drill/lessons/*.pkt))
$(B)/gen/listed.S: $(LISTED) Makefile
	$(call say,GEN,$(@F))
	@mkdir -p $(@D)
	$(Q){ echo '.section .rodata'; n=0; \
	for f in $(LISTED); do n=$$((n + 1)); \
		printf '.Lname%d: .asciz "%s"\n.Ltext%d: .incbin "%s"\n.Lend%d: .byte 0\n' $$n $$f $$n $$f $$n; \
	done; \
	echo '.section .data.rel.ro,"aw"'; echo '.balign 8'; echo '.globl listed_files'; \
	echo '.hidden listed_files'; echo 'listed_files:'; i=0; \
	while [ $$i -lt $$n ]; do i=$$((i + 1)); echo ".dc.a .Lname$$i, .Ltext$$i, .Lend$$i"; done; \
	echo '.dc.a 0, 0, 0'; echo '.section .note.GNU-stack,"",%progbits'; } >$@.tmp && mv $@.tmp $@

$(B)/obj/listed.o: $(B)/gen/listed.S
	@mkdir -p $(@D)
	$(Q)$(CC) -c -o $@ $<

# The archive holds one object in which all that is hidden has become local: nothing of ours can collide with
# a name of the program that embeds it, and that program cannot reach what is not public.
$(B)/libtapglass.o: $(STACK_OBJ)
	$(call say,LD,$(@F))
	$(Q)$(LD) -r -o $@.tmp $(STACK_OBJ)
	$(Q)$(OBJCOPY) --localize-hidden $@.tmp $@
	@rm -f $@.tmp

$(LIB_A): $(B)/libtapglass.o
	$(call say,AR,$(@F))
	@rm -f $@
	$(Q)$(AR) rcs $@ $<

# Programs look for the name with the number; the linker, for the one without.
$(LIB_SO): $(LIB_SO_0)
	@ln -sfn $(SONAME) $@

$(LIB_SO_0): $(STACK_OBJ)
	$(call say,LD,$(@F))
	$(Q)$(CC) -shared $(if $(SAN),,-Wl,-z,defs) -Wl,-z,relro,-z,now -Wl,-soname,$(SONAME) \
		$(LDFLAGS_ALL) -o $@ $(STACK_OBJ)

$(PROGRAM): $(APPS_OBJ) $(B)/obj/listed.o $(LIB_A)
	$(call say,LD,$(@F))
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(APPS_OBJ) $(B)/obj/listed.o $(LIB_A) $(JSON_LIBS) $(WSLAY_LIBS) $(EDIT_LIBS)

# Tests see inside: plain archives of all objects, from which the linker takes only what a test calls for.
# A test that defines tg_assert_fail itself thereby replaces the one of stack/port.
$(B)/stack.a: $(STACK_OBJ)
	$(call say,AR,$(@F))
	@rm -f $@
	$(Q)$(AR) qcs $@ $^

$(B)/apps.a: $(filter-out %/main.o,$(APPS_OBJ)) $(B)/obj/listed.o
	$(call say,AR,$(@F))
	@rm -f $@
	$(Q)$(AR) qcs $@ $^

$(ADAPTER_SO): $(ADAPTER_OBJ) $(ADAPTER_MAP) $(B)/stack.a
	$(call say,LD,$(@F))
	$(Q)$(CC) -shared $(if $(SAN),,-Wl,-z,defs) -Wl,-z,relro,-z,now -Wl,--version-script=$(ADAPTER_MAP) \
		$(LDFLAGS_ALL) -o $@ $(ADAPTER_OBJ) $(B)/stack.a

# They load that.
$(filter $(B)/tests/unit/test_packetdrill_%,$(TESTS)): | $(ADAPTER_SO)

# The other files of a test's folder are its helpers; differential tests run the simulator's worlds too, but for the one
# that compares two instances on hand-made segments, as unit tests do.
helpers = $(filter $(patsubst %/,%,$(dir $(1)))/%,$(HELP_OBJ)) \
	$(if $(findstring tests/diff/,$(1)),$(filter $(B)/obj/tests/sim/%,$(HELP_OBJ)))
$(TESTS): $(B)/%: $(B)/obj/%.o $(HELP_OBJ) $(B)/apps.a $(B)/stack.a
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< \
		$(if $(findstring diff/test_merged,$<),$(B)/obj/tests/unit/support.o,$(call helpers,$<)) \
		$(B)/apps.a $(B)/stack.a $(CHECK_LIBS) $(JSON_LIBS) $(WSLAY_LIBS) $(EDIT_LIBS) -lm

$(TOOLS): $(B)/%: $(B)/obj/%.o $(LIB_A)
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(LIB_A)

$(B)/tests/bench/load: $(call obj,$(addprefix tests/bench/,load.c load_tcp.c load_udp.c))
$(B)/tests/bench/kernel_serve: $(call obj,tests/bench/kernel_serve.c)
$(B)/tests/bench/bare: $(call obj,tests/bench/bare.c tests/bench/bench_tap.c)
$(B)/tests/bench/stack_serve: $(call obj,tests/bench/stack_serve.c) $(LIB_A)
$(BENCH):
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^

# lwIP's headers are not written for our warnings.
$(B)/tests/bench/lwip_host: tests/bench/lwip_host.c tests/bench/bench_tap.c tests/bench/bench.h tests/bench/bench_tap.h
	$(call say,CC,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror \
		-isystem $(shell $(PKG_CONFIG) --variable=includedir lwip 2>/dev/null || echo /usr/include/lwip) \
		-o $@ $(filter %.c,$^) -llwip

# From the sources that Debian's packages install; nothing is fetched.
$(B)/tests/bench/gvisor_host: tests/bench/gvisor/main.go
	$(call say,GO,$(@F))
	@mkdir -p $(@D)
	$(Q)GO111MODULE=off GOFLAGS= GOPATH=/usr/share/gocode GOCACHE=$(CURDIR)/build/go-cache go build -o $@ $<

# The same sources on the kernel's sockets and on ours.
$(B)/tests/net/transcript_kernel: $(TRANSCRIPT_SRC) tests/net/transcript.h
	$(call say,CC,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS_ALL) -o $@ $(TRANSCRIPT_SRC)

$(B)/tests/net/transcript_tapglass: $(TRANSCRIPT_SRC) tests/net/transcript.h $(LIB_A)
	$(call say,CC,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -D_GNU_SOURCE -DTAPGLASS $(CFLAGS) $(LDFLAGS_ALL) -o $@ $(TRANSCRIPT_SRC) \
		$(LIB_A)

$(EXAMPLES): $(OUT)/%: $(B)/obj/apps/%.o $(LIB_A)
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(LIB_A)

$(CONN_COST): $(B)/%: $(B)/obj/%.o $(B)/stack.a
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^

$(FUZZERS): $(B)/%: $(B)/obj/%.o $(call obj,$(FUZZ_HELP)) $(B)/stack.a
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=fuzzer $(LDFLAGS_ALL) -o $@ $^

-include $(patsubst %.o,%.d,$(STACK_OBJ) $(ADAPTER_OBJ) $(APPS_OBJ) $(TEST_OBJ) $(HELP_OBJ) $(TOOL_OBJ) $(FUZZ_OBJ) \
	$(EXAMPLE_OBJ) $(BENCH_OBJ) $(call obj,tests/bench/conn_cost.c))

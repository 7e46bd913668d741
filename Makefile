# Luminous. make, make check, make install; CC=clang and SAN=address,undefined
# build the same below build/clang and build/san.

VERSION = 0.1.0

ifeq ($(origin CC),default)
CC = gcc
endif
BUILD ?= build
COMPILER := $(notdir $(firstword $(CC)))
B = $(BUILD)$(if $(filter-out gcc cc,$(COMPILER)),/$(COMPILER))$(if $(SAN),/san)
O = $(B)/obj

CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra -Werror -Wshadow -Wundef -Wvla -Wformat=2 \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wpointer-arith -Wwrite-strings -Wcast-qual -Wimplicit-fallthrough \
	-Wswitch-enum -Wdouble-promotion
HARDENING = -fstack-protector-strong -fPIE
HARDENING_LINK = -pie -Wl,-z,relro,-z,now -Wl,--as-needed

ifdef SAN
# Instrumented code sets off gcc's flow analysis and glibc's fortification.
SANITIZE = -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
else
WARNINGS += -Wnull-dereference
FORTIFIED = $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))
ifeq ($(FORTIFIED)$(filter -O0,$(CFLAGS)),)
HARDENING += -D_FORTIFY_SOURCE=2
endif
endif

COMPILE = $(CC) -std=c17 -D_GNU_SOURCE -I. -Iserver $(DEFINES) $(CPPFLAGS) \
	$(WARNINGS) $(HARDENING) $(SANITIZE) $(CFLAGS)
LINK = $(CC) $(HARDENING) $(HARDENING_LINK) $(SANITIZE) $(CFLAGS) $(LDFLAGS)

libs = $(shell pkg-config --libs $(1))
PURE_LIBS = $(call libs,libxxhash)
DAEMON_LIBS = $(PURE_LIBS) \
	$(call libs,libevent_core jansson lmdb libcrypto inih)
CHECK_LIBS = $(call libs,check)

objects = $(patsubst %.c,$(O)/%.o,$(wildcard $(1)))
# The simulator links these and no library: the linker proves them pure.
PURE = $(filter-out \
		$(patsubst %,$(O)/common/%.o,address clock conf% json log), \
		$(call objects,common/*.c)) \
	$(call objects,server/raft/*.c server/store/store.c \
		server/store/store_memtable*.c server/kv/*.c \
		server/node/*.c)
EVERYTHING = $(call objects,common/*.c server/*.c server/*/*.c)
ALL_BUT_MAIN = $(filter-out $(O)/server/luminousd.o,$(EVERYTHING))
TESTLIB = $(call objects,tests/lib/*.c)
CHECKER = $(filter-out %/check_main.o,$(call objects,tests/torture/check*.c))
# Targets, and the worlds of the unit tests that they play in.
FUZZLIB = $(filter-out %/fuzz_entry.o %/fuzz_replay.o, \
		$(call objects,tests/fuzz/*.c)) \
	$(patsubst %,$(O)/tests/unit/%.o, \
		api_site http_probe journal_site local_client log_site peer_net) \
	$(TESTLIB)

# Each can be made by its name alone, and all of them as `programs`.
PROGRAMS = luminousd unit sim sim-real check-history power-cut fuzz-replay \
	fanout fnet
PRELOADS = record fail_malloc

all: luminousd
programs: $(PROGRAMS) $(PRELOADS:%=$(B)/%.so)
$(PROGRAMS): %: $(B)/%

$(B)/luminousd: $(EVERYTHING)
	@echo "LD $@"
	@$(LINK) -o $@ $^ $(DAEMON_LIBS)

$(B)/unit: $(call objects,tests/unit/*.c) $(TESTLIB) $(CHECKER) $(ALL_BUT_MAIN)
	@echo "LD $@"
	@$(LINK) -o $@ $^ $(DAEMON_LIBS) $(CHECK_LIBS)

$(B)/sim: $(call objects,tests/sim/*.c) $(TESTLIB) $(PURE)
	@echo "LD $@"
	@$(LINK) -o $@ $^ $(PURE_LIBS)

$(B)/check-history: $(O)/tests/torture/check_main.o $(CHECKER) \
		$(O)/tests/lib/linear.o $(call objects,common/*.c)
	@echo "LD $@"
	@$(LINK) -o $@ $^ $(DAEMON_LIBS)

# Calls that change files, or would: tests/sim/real/file_wrap.c has them all.
FILE_CALLS = open openat close closedir mkdir unlink unlinkat rmdir pwrite \
	writev ftruncate fsync fdatasync fstatvfs mmap write pwritev pwrite64 \
	ftruncate64 fallocate posix_fallocate sync_file_range syncfs dup \
	truncate creat link symlink rename renameat mkdirat
comma = ,
WRAPPED = $(FILE_CALLS:%=-Wl$(comma)--wrap=%)
# Only what is linked in can be wrapped.
REAL_LIBS = $(patsubst -llmdb,-l:liblmdb.a -lpthread,$(DAEMON_LIBS))

# The same with the product's own ways to write and to read; see sim_media.h.
$(B)/sim-real: $(filter-out $(O)/tests/sim/sim_media.o, \
		$(call objects,tests/sim/*.c tests/sim/real/*.c)) \
		$(TESTLIB) $(ALL_BUT_MAIN)
	@echo "LD $@"
	@$(LINK) $(WRAPPED) -o $@ $^ $(REAL_LIBS)

$(B)/power-cut: $(call objects,tests/cut/*.c) \
		$(TESTLIB) $(ALL_BUT_MAIN)
	@echo "LD $@"
	@$(LINK) -o $@ $^ $(DAEMON_LIBS)

# Preloaded into the daemon: they define functions of the C library.
$(O)/tests/preload/%.o: HARDENING = -fPIC
$(PRELOADS:%=$(B)/%.so): $(B)/%.so: $(O)/tests/preload/%.o
	@echo "LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -shared -o $@ $^

$(B)/fanout: $(O)/tests/bench/fanout.o $(call objects,common/*.c)
	@echo "LD $@"
	@$(LINK) -o $@ $^ $(DAEMON_LIBS)

$(B)/fnet: $(call objects,tests/torture/fnet*.c common/*.c)
	@echo "LD $@"
	@$(LINK) -o $@ $^ $(DAEMON_LIBS)

$(B)/fuzz-replay: $(O)/tests/fuzz/fuzz_replay.o $(FUZZLIB) $(ALL_BUT_MAIN)
	@echo "LD $@"
	@$(LINK) -o $@ $^ $(DAEMON_LIBS)

# One variant of its own, build/fuzz/fuzzer, with clang's libFuzzer.
fuzz:
	+@$(MAKE) --no-print-directory CC=clang B=$(BUILD)/fuzz \
		SAN=fuzzer-no-link,address,undefined fuzzer

fuzzer: $(B)/fuzzer

$(B)/fuzzer: $(O)/tests/fuzz/fuzz_entry.o $(FUZZLIB) $(ALL_BUT_MAIN)
	@echo "LD $@"
	@$(LINK) -fsanitize=fuzzer -o $@ $^ $(DAEMON_LIBS)

$(O)/common/%.o $(O)/server/raft/%.o $(O)/server/kv/%.o \
$(O)/server/net/wire%.o: WARNINGS += -Wconversion
$(O)/common/version.o: DEFINES = -DLUMINOUS_VERSION='"$(VERSION)"'

$(O)/%.o: %.c $(B)/command
	@mkdir -p $(@D)
	@echo "CC $<"
	@$(COMPILE) -MMD -MP -c -o $@ $<

# Changes when the command line does, so that no object is kept over it.
COMMAND := $(VERSION) $(COMPILE) $(LINK)
ifneq ($(file <$(B)/command),$(COMMAND))
$(shell rm -f $(B)/command)
endif

$(B)/command:
	@:$(shell mkdir -p $(@D))$(file >$@,$(COMMAND))

-include $(shell find $(O) -name '*.d' 2>/dev/null)

check: programs
	$(B)/unit
	$(B)/sim --seeds 50
	$(B)/sim --regressions tests/sim/regressions
	tests/sim/selftest.sh $(B)/sim
	$(B)/fuzz-replay
	@$(MAKE) --no-print-directory lint

lint: programs
	scripts/lint.sh $(O)

# Bugs put back one at a time: do the tests find each of them?
mutants:
	tests/mutants/mutants.py

bench: all fanout
	scripts/bench.sh

coverage:
	+scripts/coverage.sh

clean:
	rm -rf $(BUILD)

prefix = /usr/local
sbindir = $(prefix)/sbin
sysconfdir = /etc
unitdir = $(or $(shell pkg-config --variable=systemdsystemunitdir systemd \
	2>/dev/null),/usr/lib/systemd/system)
sysusersdir = /usr/lib/sysusers.d
tmpfilesdir = /usr/lib/tmpfiles.d

UNITS = luminous.service luminous@.service
SUBSTITUTE = sed -e 's|@SBINDIR@|$(sbindir)|g' \
	-e 's|@SYSCONFDIR@|$(sysconfdir)|g'
CONF_DIR = $(DESTDIR)$(sysconfdir)/luminous

# A luminous.conf that is already there belongs to the operator.
install: all
	install -D -m 755 $(B)/luminousd $(DESTDIR)$(sbindir)/luminousd
	install -D -m 644 conf/luminous.conf $(CONF_DIR)/luminous.conf.example
	test -e $(CONF_DIR)/luminous.conf || \
		install -m 644 conf/luminous.conf $(CONF_DIR)/luminous.conf
	install -d $(DESTDIR)$(unitdir)
	for unit in $(UNITS); do \
		$(SUBSTITUTE) conf/$$unit >$(DESTDIR)$(unitdir)/$$unit && \
		chmod 644 $(DESTDIR)$(unitdir)/$$unit || exit 1; \
	done
	install -D -m 644 conf/luminous.sysusers \
		$(DESTDIR)$(sysusersdir)/luminous.conf
	install -D -m 644 conf/luminous.tmpfiles \
		$(DESTDIR)$(tmpfilesdir)/luminous.conf

# The configuration stays: it is the operator's.
uninstall:
	rm -f $(DESTDIR)$(sbindir)/luminousd \
		$(CONF_DIR)/luminous.conf.example \
		$(UNITS:%=$(DESTDIR)$(unitdir)/%) \
		$(DESTDIR)$(sysusersdir)/luminous.conf \
		$(DESTDIR)$(tmpfilesdir)/luminous.conf

.PHONY: $(PROGRAMS) programs all check lint bench coverage mutants fuzz \
	fuzzer clean install uninstall
.DELETE_ON_ERROR:

/* The journal: every state-changing call on an instance, written down while it runs and fed to a
 * new instance later, which then does the same, bit for bit.
 *
 * A journal is a sequence of records, integers in the byte order of the machine (a journal stays
 * with the build that wrote it: its first record carries sizes that another build would not have):
 *
 *     u32 payload bytes | u8 type | u8 words | u8 byte strings | u8 zero
 *     u64 words | u64 lengths of the strings | strings                      (together: the payload)
 *     u64 hash of all this, chained to the hash of the record before
 *
 * A file that ends early or was changed is good up to the first record whose hash does not fit. */
#ifndef TAPGLASS_JOURNAL_H
#define TAPGLASS_JOURNAL_H

#include "tapglass.h"
#include "tapglass_inspect.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Record types: constant, the call it stands for ("-": none), words. The last word of a call that
 * has a result is the result. */
#define TG_RECORD_LIST(X)                                                                          \
	X(BEGIN, "tg_create", 6)        /* magic, version, layout, reserved, now, frame limit */   \
	X(END, "-", 3)                  /* why, hash of the trace, hash of the counters */         \
	X(CHECK, "-", 3)                /* calls, hash of the trace, hash of the counters */       \
	X(TRANSMIT, "-", 4)             /* netif, taken, bytes, hash of the frame */               \
	X(PASS, "-", 4)                 /* netif, to whom, taken, hash of the frame */             \
	X(NETIF_ADD, "tg_netif_add", 6) /* now, link, mtu, caps, announce, result; name, MAC */    \
	X(ADDR_ADD, "tg_addr_add", 4)                                                              \
	X(ROUTE_ADD, "tg_route_add", 6)                                                            \
	X(ROUTE_DEL, "tg_route_del", 5)                                                            \
	X(PKT_ALLOC, "tg_pkt_alloc", 2)                                                            \
	X(PKT_FREE, "tg_pkt_free", 1)                                                              \
	X(INPUT, "tg_input", 6) /* netif, now, packet, offset, length, virtio metadata; frame */   \
	X(STEP, "tg_step", 1)                                                                      \
	X(SOCK_OPEN, "tg_sock_open", 5)                                                            \
	X(SOCK_BIND, "tg_sock_bind", 2)                                                            \
	X(SOCK_LISTEN, "tg_sock_listen", 4)                                                        \
	X(SOCK_CONNECT, "tg_sock_connect", 3)                                                      \
	X(SOCK_ACCEPT, "tg_sock_accept", 5)                                                        \
	X(SOCK_SEND, "tg_sock_send", 5)                                                            \
	X(SOCK_RECV, "tg_sock_recv", 6)                                                            \
	X(SOCK_RESERVE, "tg_sock_reserve", 3)                                                      \
	X(SOCK_COMMIT, "tg_sock_commit", 5)                                                        \
	X(SOCK_PEEK, "tg_sock_peek", 4)                                                            \
	X(SOCK_CONSUME, "tg_sock_consume", 4)                                                      \
	X(SOCK_SENDTO, "tg_sock_sendto", 7)                                                        \
	X(SOCK_RECVFROM, "tg_sock_recvfrom", 7)                                                    \
	X(SOCK_SHUTDOWN, "tg_sock_shutdown", 4)                                                    \
	X(SOCK_CLOSE, "tg_sock_close", 3)                                                          \
	X(SOCK_ABORT, "tg_sock_abort", 3)                                                          \
	X(SOCK_SETOPT, "tg_sock_setopt", 5)                                                        \
	X(SOCK_GETOPT, "tg_sock_getopt", 4)                                                        \
	X(EVENT, "tg_event", 3)                                                                    \
	X(PUT_ERROR, "put error", 2) /* of sock/ */                                                \
	X(FAIL_AFTER, "tg_memory_fail_after", 2)

enum tg_record_type {
	TG_RECORD_NONE,
#define X(NAME, call, words) TG_RECORD_##NAME,
	TG_RECORD_LIST(X)
#undef X
		TG_RECORD_COUNT
};
/* "tg_sock_bind"; "-" for what is no call; never NULL. */
TG_API const char *tg_record_call(enum tg_record_type t);

#define TG_RECORD_WORDS 8u
/* The longest record; a call that needs a longer one ends the recording. */
#define TG_RECORD_BYTES_MAX (64u << 20)
#define TG_JOURNAL_PKTS_MAX 1024u /* packets between tg_pkt_alloc and tg_input */

/* One call, as the core hands it to a recorder. */
struct tg_record {
	uint8_t type;
	uint8_t n_words, n_data;
	uint64_t word[TG_RECORD_WORDS];
	struct tg_span data[TG_FRAME_SPANS];
};

/* ---- Recording ------------------------------------------------------------------------------- */

enum tg_record_end {
	TG_RECORD_GOES_ON,
	TG_RECORD_STOPPED,     /* tg_record_stop */
	TG_RECORD_WRITE_ERROR, /* write returned false */
	TG_RECORD_LIMIT,       /* the journal would be longer than max_bytes */
	TG_RECORD_TOO_LONG,    /* a call with more than TG_RECORD_BYTES_MAX bytes */
	TG_RECORD_PKTS         /* more than TG_JOURNAL_PKTS_MAX packets out at once */
};

/* What a recording needs, in the caller's memory; all but the first three fields is private. */
struct tg_recorder {
	/* Takes bytes in order; false: it cannot, and the recording ends. Called from within calls
	 * on the instance, must not call it. */
	bool (*write)(void *arg, const void *data, size_t bytes);
	void *arg;
	uint64_t max_bytes; /* length of the journal at most */
	/* ---- */
	void (*record)(struct tg_recorder *r, const struct tg_record *rec);
	bool inside;   /* a call of the user's is in progress: what it calls itself is no record */
	uint8_t ended; /* enum tg_record_end */
	uint32_t pkts; /* out at present */
	uint64_t bytes, chain, calls, checked, trace_cursor, trace_hash;
	struct tg *s;
};

/* Begins to record s, to which nothing has been done since tg_create. build: at most 63 characters
 * that tell builds apart. 0, -TG_EBUSY (recorded already), -TG_EINVAL (it has been used),
 * -TG_ENOBUFS (write took nothing). r stays until tg_record_stop. */
TG_API int tg_record_start(struct tg_recorder *r, struct tg *s, const char *build);
/* Writes the end record, unless the recording has ended by itself, and lets go of the instance. How
 * it ended. */
TG_API enum tg_record_end tg_record_stop(struct tg_recorder *r);
TG_API const char *tg_record_end_text(enum tg_record_end e);

/* Of a frame's bytes and metadata, as journals have it; depends on where the spans begin and end.
 */
TG_API uint64_t tg_frame_hash(const struct tg_frame *f);

/* ---- Replaying ------------------------------------------------------------------------------- */

enum tg_replay_state {
	TG_REPLAY_MORE,     /* there may be more */
	TG_REPLAY_END,      /* the end record was reached */
	TG_REPLAY_CUT,      /* the file ends before it */
	TG_REPLAY_DAMAGED,  /* the record at `at` is not what was written */
	TG_REPLAY_DIFFERENT /* the instance did not do what was recorded: see why, wanted, got */
};

struct tg_replay_pkt {
	uint64_t id;
	struct tg_pkt *p;
};

/* A replay, in the caller's memory. */
struct tg_replay {
	/* Of the journal's first record, after tg_replay_open: */
	struct tg_config config;
	char build[64];
	uint64_t reserved_bytes; /* the instance's address space has to be so large */
	uint64_t start_ns;
	/* Where it stands: */
	struct tg *s;         /* NULL before tg_replay_begin */
	uint64_t calls;       /* made so far */
	uint64_t at;          /* offset of the next record */
	uint8_t last;         /* enum tg_record_type of the last call */
	uint8_t state;        /* enum tg_replay_state */
	uint8_t ended;        /* with TG_REPLAY_END: why the recording ended, enum tg_record_end */
	const char *why;      /* with CUT, DAMAGED and DIFFERENT: static text */
	uint64_t got, wanted; /* with DIFFERENT */
	uint64_t frames_out, checks; /* compared so far */
	/* private */
	const uint8_t *file;
	size_t bytes;
	uint64_t chain, trace_cursor, trace_hash;
	uint8_t *scratch;
	uint32_t n_pkts;
	struct tg_replay_pkt pkt[TG_JOURNAL_PKTS_MAX];
	struct tg_record rec;
	uint64_t next;
	struct tg_replay_dev {
		struct tg_replay *replay;
		unsigned netif;
	} dev[16];
	uint32_t n_dev;
};

/* Reads the first record of the journal file[0 .. bytes), which stays until the end. False: it is
 * none, r->why says in which way. */
TG_API bool tg_replay_open(struct tg_replay *r, const void *file, size_t bytes);
/* Makes the instance in mem (as for tg_create, r->reserved_bytes of it). scratch:
 * TG_RECORD_BYTES_MAX bytes. r->config may be given another csum before. False: the configuration
 * is impossible. */
TG_API bool tg_replay_begin(struct tg_replay *r, void *mem, void *scratch);
/* Makes the next call and compares its result, and the frames that it sends, with what was
 * recorded. TG_REPLAY_MORE, or what ended it; then the instance is as that call left it. */
TG_API enum tg_replay_state tg_replay_next(struct tg_replay *r);

#ifdef __cplusplus
}
#endif
#endif

#include "tests/torture/check_history.h"

#include "common/macros.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <stdlib.h>

/*
 * A small history that uses everything, and what is wrong with it after one
 * change. Written with ' for quotation marks, and with times in steps of 10 us:
 * ~ is 0000.
 */

static const char *const good[] = {
	"{'history':1,'seed':1,'commit':'c','size':3,'workload':'all',"
	"'nemesis':'none','prefix':'t/','since':10,'ok_min':30,'bank_sum':20}",
	/* Registers. */
	"{'client':1,'op':'put','key':'t/a','value':'v1','call':100~,"
	"'ret':110~,'status':'ok','rev':11,'version':1,'created':11}",
	"{'client':2,'op':'get','key':'t/a','call':120~,'ret':130~,"
	"'status':'ok','rev':11,'out':'v1','mod':11,'version':1,"
	"'created':11}",
	"{'client':1,'op':'cas','key':'t/a','value':'v2','expect':'v1',"
	"'expect_rev':11,'done':true,'call':140~,'ret':150~,'status':'ok',"
	"'rev':12,'version':2,'created':11}",
	"{'client':2,'op':'cas','key':'t/a','value':'v9','expect':'v1',"
	"'expect_rev':11,'done':false,'call':160~,'ret':170~,'status':'ok',"
	"'rev':12,'current':12}",
	"{'client':2,'op':'get','key':'t/a','call':172~,'ret':178~,"
	"'status':'ok','rev':12,'out':'v2','mod':12,'version':2,"
	"'created':11}",
	"{'client':1,'op':'del','key':'t/b','call':180~,'ret':190~,"
	"'status':'ok','rev':12,'existed':false}",
	"{'client':3,'op':'put','key':'t/b','value':'v3','call':200~,"
	"'ret':null,'status':'info'}",
	"{'client':1,'op':'get','key':'t/b','call':260~,'ret':270~,"
	"'status':'ok','rev':13,'out':'v3','mod':13,'version':1,"
	"'created':13}",
	"{'client':1,'op':'del','key':'t/b','call':280~,'ret':290~,"
	"'status':'ok','rev':14,'existed':true}",
	"{'client':1,'op':'get','key':'t/b','call':292~,'ret':296~,"
	"'status':'ok','rev':14,'out':null,'mod':0}",
	/* Counters. */
	"{'client':1,'op':'incr','key':'t/c','by':1,'call':300~,'ret':310~,"
	"'status':'ok','rev':15,'out':'1','version':1,'created':15}",
	"{'client':2,'op':'incr','key':'t/c','by':1,'req':'i','call':320~,"
	"'ret':330~,'status':'ok','rev':16,'out':'2','version':2,"
	"'created':15}",
	"{'client':2,'op':'incr','key':'t/c','by':1,'req':'i','again':true,"
	"'call':332~,'ret':338~,'status':'ok','rev':16,'out':'2',"
	"'version':2,'created':15}",
	"{'client':1,'op':'append','key':'t/l','value':'(x)','call':340~,"
	"'ret':350~,'status':'ok','rev':17,'out':'(x)','version':1,"
	"'created':17}",
	"{'client':2,'op':'append','key':'t/l','value':'(y)','call':360~,"
	"'ret':370~,'status':'ok','rev':18,'out':'(x)(y)','version':2,"
	"'created':17}",
	/* Transactions. */
	"{'client':1,'op':'txn','if':[{'key':'t/x/1','exists':false}],"
	"'then':[{'put':'t/x/1','value':'10#1'},{'put':'t/x/2',"
	"'value':'10#2'}],'else':[{'get':'t/x/1'}],'done':true,'call':400~,"
	"'ret':410~,'status':'ok','rev':19,'out':[{'key':'t/x/1',"
	"'revision':19,'version':1,'created':19},{'key':'t/x/2',"
	"'revision':19,'version':1,'created':19}]}",
	"{'client':1,'op':'txn','if':[{'key':'t/x/1','value':'10#1'},"
	"{'key':'t/x/2','value':'10#2'}],'then':[{'put':'t/x/1',"
	"'value':'5#3'},{'put':'t/x/2','value':'15#4'},{'delete':'t/x/9'}],"
	"'else':[],'done':true,'call':420~,'ret':430~,'status':'ok',"
	"'rev':20,'out':[{'key':'t/x/1','revision':20,'version':2,"
	"'created':19},{'key':'t/x/2','revision':20,'version':2,"
	"'created':19},{'deleted':0}]}",
	"{'client':2,'op':'txn','if':[{'key':'t/x/1','value':'10#1'}],"
	"'then':[{'put':'t/x/1','value':'9#9'}],'else':[{'get':'t/x/1'}],"
	"'done':false,'call':440~,'ret':450~,'status':'ok','rev':20,"
	"'out':[{'key':'t/x/1','value':'5#3','revision':20,'version':2,"
	"'created':19}]}",
	"{'client':2,'op':'list','prefix':'t/x/','limit':5,'call':460~,"
	"'ret':470~,'status':'ok','rev':20,'more':false,'out':[['t/x/1',"
	"'5#3',20,2,19],['t/x/2','15#4',20,2,19]]}",
	/* A queue. */
	"{'client':1,'op':'child','key':'t/q/','value':'job','call':480~,"
	"'ret':490~,'status':'ok','rev':21,'name':'t/q/21','version':1,"
	"'created':21}",
	"{'client':2,'op':'del','key':'t/q/21','expect':'job',"
	"'expect_rev':21,'done':true,'call':500~,'ret':510~,'status':'ok',"
	"'rev':22,'existed':true}",
	/* A lock. */
	"{'client':1,'op':'lock','key':'t/k','value':'h1','ttl':5,"
	"'call':520~,'ret':530~,'status':'ok','done':true,'lease':'L1',"
	"'rev':23}",
	"{'client':1,'op':'renew','lease':'L1','call':540~,'ret':550~,"
	"'status':'ok','done':true,'rev':23}",
	"{'client':1,'op':'put','key':'t/g','value':'g1','lease':'L1',"
	"'done':true,'call':560~,'ret':570~,'status':'ok','rev':24,"
	"'version':1,'created':24}",
	"{'client':2,'op':'holder','key':'t/k','call':580~,'ret':590~,"
	"'status':'ok','rev':24,'out':'h1','fence':23}",
	"{'client':1,'op':'unlock','key':'t/k','lease':'L1','call':600~,"
	"'ret':610~,'status':'ok','done':true,'rev':25,'deleted':1}",
	"{'client':2,'op':'lock','key':'t/k','value':'h2','ttl':5,"
	"'call':620~,'ret':630~,'status':'ok','done':true,'lease':'L2',"
	"'rev':26}",
	/* A lifetime. */
	"{'client':1,'op':'put','key':'t/e','value':'e1','ttl':1,"
	"'call':640~,'ret':650~,'status':'ok','rev':27,'version':1,"
	"'created':27}",
	"{'client':2,'op':'touch','key':'t/e','ttl':1,'call':655~,"
	"'ret':658~,'status':'ok','rev':27,'done':true,'version':1,"
	"'created':27}",
	"{'client':2,'op':'renew','lease':'L2','call':660~,'ret':670~,"
	"'status':'ok','done':true,'rev':27}",
	"{'client':1,'op':'get','key':'t/e','call':700~,'ret':705~,"
	"'status':'ok','rev':27,'out':'e1','mod':27,'version':1,"
	"'created':27}",
	"{'client':1,'op':'get','key':'t/e','call':760~,'ret':770~,"
	"'status':'ok','rev':28,'out':null,'mod':0}",
	"{'client':2,'op':'touch','key':'t/e','ttl':1,'call':772~,"
	"'ret':776~,'status':'ok','rev':28,'done':false}",
	/* The past. */
	"{'client':1,'op':'get','key':'t/a','at':11,'call':780~,"
	"'ret':790~,'status':'ok','rev':28,'out':'v1','mod':11,'version':1,"
	"'created':11}",
	"{'client':1,'op':'get','key':'t/a','stale':true,'call':800~,"
	"'ret':810~,'status':'ok','rev':11,'out':'v1','mod':11,'version':1,"
	"'created':11}",
	"{'client':1,'op':'put','key':'t/f','value':'vf','call':820~,"
	"'ret':830~,'status':'fail'}",
	"{'client':1,'op':'list','prefix':'t/','final':true,'call':900~,"
	"'ret':910~,'status':'ok','rev':28,'more':false,'out':[['t/a','v2',"
	"12,2,11],['t/c','2',16,2,15],['t/l','(x)(y)',18,2,17],['t/x/1',"
	"'5#3',20,2,19],['t/x/2','15#4',20,2,19]]}",
	/* Watches: of everything, of a part, and with the state first. */
	"{'client':7,'op':'watch','form':'stream','prefix':'t/',"
	"'since':10,'call':90~,'ret':950~,'status':'ok','end':'cut',"
	"'lines':[[105~,{'type':'put','key':'t/a','value':'v1',"
	"'revision':11,'version':1,'created':11}],",
	"[145~,{'type':'put','key':'t/a','value':'v2','revision':12,"
	"'version':2,'created':11}],",
	"[250~,{'type':'put','key':'t/b','value':'v3','revision':13,"
	"'version':1,'created':13}],",
	"[285~,{'type':'delete','key':'t/b','revision':14}],",
	"[305~,{'type':'put','key':'t/c','value':'1','revision':15,"
	"'version':1,'created':15}],",
	"[325~,{'type':'put','key':'t/c','value':'2','revision':16,"
	"'version':2,'created':15}],",
	"[345~,{'type':'put','key':'t/l','value':'(x)','revision':17,"
	"'version':1,'created':17}],",
	"[365~,{'type':'put','key':'t/l','value':'(x)(y)','revision':18,"
	"'version':2,'created':17}],",
	"[405~,{'type':'put','key':'t/x/1','value':'10#1','revision':19,"
	"'version':1,'created':19,'more':true}],[405~,{'type':'put',"
	"'key':'t/x/2','value':'10#2','revision':19,'version':1,"
	"'created':19}],",
	"[425~,{'type':'put','key':'t/x/1','value':'5#3','revision':20,"
	"'version':2,'created':19,'more':true}],[425~,{'type':'put',"
	"'key':'t/x/2','value':'15#4','revision':20,'version':2,"
	"'created':19}],",
	"[485~,{'type':'put','key':'t/q/21','value':'job','revision':21,"
	"'version':1,'created':21}],[505~,{'type':'delete','key':'t/q/21',"
	"'revision':22}],",
	"[565~,{'type':'put','key':'t/g','value':'g1','revision':24,"
	"'version':1,'created':24}],[605~,{'type':'delete','key':'t/g',"
	"'revision':25}],",
	"[645~,{'type':'put','key':'t/e','value':'e1','revision':27,"
	"'version':1,'created':27}],",
	"[757~,{'type':'expire','key':'t/e','revision':28}],",
	"[940~,{'type':'progress','revision':30}]]}",
	"{'client':8,'op':'watch','form':'poll','prefix':'t/x/',"
	"'since':10,'call':600~,'ret':610~,'status':'ok','end':'closed',"
	"'lines':[[605~,{'type':'put','key':'t/x/1','value':'10#1',"
	"'revision':19,'version':1,'created':19,'more':true}],",
	"[606~,{'type':'put','key':'t/x/2','value':'10#2','revision':19,"
	"'version':1,'created':19}],",
	"[607~,{'type':'put','key':'t/x/1','value':'5#3','revision':20,"
	"'version':2,'created':19,'more':true}],",
	"[608~,{'type':'put','key':'t/x/2','value':'15#4','revision':20,"
	"'version':2,'created':19}],[608~,{'type':'progress',"
	"'revision':24}]]}",
	"{'client':9,'op':'watch','form':'snapshot','prefix':'t/x/',"
	"'call':415~,'ret':418~,'status':'ok','end':'goes on','lines':"
	"[[416~,{'type':'put','key':'t/x/1','value':'10#1','revision':19,"
	"'version':1,'created':19}],",
	"[416~,{'type':'put','key':'t/x/2','value':'10#2','revision':19,"
	"'version':1,'created':19}],",
	"[417~,{'type':'synced','revision':19}]]}",
	"{'client':10,'op':'watch','form':'stream','prefix':'t/',"
	"'since':10,'call':140~,'ret':170~,'status':'ok','end':'client',"
	"'lines':[[141~,{'type':'put','key':'t/a','value':'v1',"
	"'revision':11,'version':1,'created':11}],",
	"[148~,{'type':'put','key':'t/a','value':'v2','revision':12,"
	"'version':2,'created':11}]]}",
	"{'end':true,'rev':30}",
};

static void
append_translated(struct buf *to, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '~')
			buf_append_text(to, "0000");
		else
			buf_append(to, *text == '\'' ? "\"" : text, 1);
	}
}

/* `from`, whose first place counts, becomes `to`. */
struct edit {
	const char *from;
	const char *to;
};

static void
apply_edit(struct buf *text, const struct edit *edit)
{
	struct buf from = { 0 };
	struct buf whole = { 0 };
	uint8_t *found;
	size_t before;

	append_translated(&from, edit->from);
	found = memmem(text->data, text->size, from.data, from.size);
	ck_assert_msg(found != NULL, "%s", edit->from);
	before = (size_t)(found - text->data);
	buf_append(&whole, text->data, before);
	append_translated(&whole, edit->to);
	buf_append(&whole, found + from.size, text->size - before - from.size);
	buf_release(&from);
	buf_release(text);
	*text = whole;
}

/* The good one with up to so many edits; the last one is followed by NULL. */
#define EDITS_MAX 3

static void
make_history(struct buf *to, const struct edit *edits)
{
	for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
		size_t size = strlen(good[i]);

		append_translated(to, good[i]);
		/* A long line is in several pieces. */
		if (good[i][size - 1] == '}')
			buf_append_text(to, "\n");
	}
	for (size_t i = 0; i < EDITS_MAX && edits[i].from != NULL; i++)
		apply_edit(to, &edits[i]);
}

static enum check_verdict
judge(const struct edit *edits, const char *faults, struct buf *report)
{
	static const struct check_options options = { 0 };
	struct buf history = { 0 };
	struct buf lines = { 0 };
	enum check_verdict verdict;

	make_history(&history, edits);
	append_translated(&lines, faults);
	verdict = check_history(
	    buf_slice(&history), buf_slice(&lines), &options, report);
	buf_append(report, "", 1);
	buf_release(&history);
	buf_release(&lines);
	return verdict;
}

START_TEST(a_good_history_passes)
{
	const struct edit none[] = { { NULL, NULL } };
	struct buf report = { 0 };

	ck_assert_msg(
	    judge(none, "", &report) == CHECK_GOOD, "%s", report.data);
	ck_assert_ptr_nonnull(strstr((char *)report.data,
	    "35 ok, 1 failed, 1 unknown, of which 1 were done; 18 changes"));
	ck_assert_ptr_nonnull(
	    strstr((char *)report.data, "9 passed, 0 failed"));
	buf_release(&report);
}
END_TEST

/* ---- Planted defects ---- */

struct defect {
	const char *name;
	const char *found_by; /* the check; and perhaps others */
	struct edit edits[EDITS_MAX];
};

#define LAST_LINE "[940~,{'type':'progress'"

static const struct defect defects[] = {
	{ "stale read that tells a wrong revision", "reads",
	    { { "'rev':12,'out':'v2','mod':12,'version':2",
		"'rev':12,'out':'v1','mod':11,'version':1" } } },
	{ "stale read that tells the truth about its revision", "order",
	    { { "'rev':12,'out':'v2','mod':12,'version':2",
		"'rev':11,'out':'v1','mod':11,'version':1" } } },
	{ "stale read, seen without revisions", "search",
	    { { "'rev':12,'out':'v2','mod':12,'version':2",
		"'rev':11,'out':'v1','mod':11,'version':1" } } },
	{ "lost write", "writes",
	    { { "[345~,{'type':'put','key':'t/l','value':'(x)',"
		"'revision':17,'version':1,'created':17}],",
		"" } } },
	{ "lost write of a counter", "search",
	    { { "'rev':16,'out':'2'", "'rev':16,'out':'1'" } } },
	{ "double apply of an addition", "writes",
	    { { LAST_LINE,
		"[930~,{'type':'put','key':'t/c','value':'3','revision':29,"
		"'version':3,'created':15}]," LAST_LINE } } },
	{ "double apply of an unknown write", "writes",
	    { { LAST_LINE,
		"[930~,{'type':'put','key':'t/b','value':'v3','revision':29,"
		"'version':1,'created':29}]," LAST_LINE } } },
	{ "refused write that was done", "writes",
	    { { LAST_LINE,
		"[930~,{'type':'put','key':'t/f','value':'vf','revision':29,"
		"'version':1,'created':29}]," LAST_LINE } } },
	{ "change from nowhere", "writes",
	    { { LAST_LINE, "[930~,{'type':'delete','key':'t/"
			   "a','revision':29}]," LAST_LINE } } },
	{ "resurrected delete", "reads",
	    { { "'rev':14,'out':null,'mod':0",
		"'rev':14,'out':'v3','mod':13,'version':1,'created':13" } } },
	{ "resurrected delete, seen without revisions", "search",
	    { { "'rev':14,'out':null,'mod':0",
		"'rev':14,'out':'v3','mod':13,'version':1,'created':13" } } },
	{ "cas that should have failed", "writes",
	    { { "'expect':'v1','expect_rev':11,'done':true",
		"'expect':'v0','expect_rev':9,'done':true" } } },
	{ "cas that should not have failed", "reads",
	    { { "'expect':'v1','expect_rev':11,'done':false",
		"'expect':'v2','expect_rev':12,'done':false" } } },
	{ "delete under a condition that did not hold", "writes",
	    { { "'expect':'job','expect_rev':21", "'expect':'job',"
						  "'expect_rev':20" } } },
	{ "transaction that should have failed", "writes",
	    { { "'if':[{'key':'t/x/1','value':'10#1'},",
		"'if':[{'key':'t/x/1','value':'11#1'}," } } },
	{ "transaction that was done in half", "writes",
	    { { ",{'put':'t/x/2','value':'15#4'},",
		",{'put':'t/x/3','value':'15#4'}," } } },
	{ "transaction that read what was not", "writes",
	    { { "'out':[{'key':'t/x/1','value':'5#3','revision':20",
		"'out':[{'key':'t/x/1','value':'10#1','revision':19" } } },
	{ "two writes with one revision", "writes",
	    { { "'ret':330~,'status':'ok','rev':16",
		"'ret':330~,'status':'ok','rev':15" } } },
	{ "wrong version", "writes",
	    { { "'rev':18,'out':'(x)(y)','version':2",
		"'rev':18,'out':'(x)(y)','version':3" } } },
	{ "repetition with another answer", "writes",
	    { { "'ret':338~,'status':'ok','rev':16,'out':'2'",
		"'ret':338~,'status':'ok','rev':17,'out':'3'" } } },
	{ "answer of no meaning", "writes",
	    { { "'ret':830~,'status':'fail'", "'ret':830~,'status':'odd'" } } },
	{ "list without a key", "reads",
	    { { "['t/l','(x)(y)',18,2,17],", "" } } },
	{ "list that says that there is more", "reads",
	    { { "'rev':20,'more':false", "'rev':20,'more':true" } } },
	{ "list above its limit", "reads",
	    { { "'prefix':'t/x/','limit':5", "'prefix':'t/x/','limit':1" } } },
	{ "list with a key that is gone", "reads",
	    { { "['t/c','2',16,2,15],",
		"['t/b','v3',13,1,13],['t/c','2',16,2,15]," } } },
	{ "money that is lost", "reads",
	    { { "'5#3',20,2,19],['t/x/2','15#4',20,2,19]]}",
		"'6#3',20,2,19],['t/x/2','15#4',20,2,19]]}" } } },
	{ "past that changed", "reads",
	    { { "'rev':28,'out':'v1','mod':11", "'rev':28,'out':'v2',"
						"'mod':11" } } },
	{ "transaction told in half", "watches",
	    { { "'revision':19,'version':1,'created':19,'more':true}],[606~,"
		"{'type':'put','key':'t/x/2','value':'10#2','revision':19,"
		"'version':1,'created':19}]",
		"'revision':19,'version':1,'created':19}]" } } },
	{ "transaction told in half, and then the next", "watches",
	    { { "[606~,{'type':'put','key':'t/x/2','value':'10#2',"
		"'revision':19,'version':1,'created':19}],",
		"" } } },
	{ "lost event", "watches",
	    { { "[607~,{'type':'put','key':'t/x/1','value':'5#3',"
		"'revision':20,'version':2,'created':19,'more':true}],[608~,"
		"{'type':'put','key':'t/x/2','value':'15#4','revision':20,"
		"'version':2,'created':19}],",
		"" } } },
	{ "event told twice", "watches",
	    { { "[148~,{'type':'put'",
		"[142~,{'type':'put','key':'t/a','value':'v1',"
		"'revision':11,'version':1,'created':11}],[148~,"
		"{'type':'put'" } } },
	{ "event of the wrong range", "watches",
	    { { "[605~,{'type':'put','key':'t/x/1'",
		"[602~,{'type':'put','key':'t/a','value':'v1',"
		"'revision':11,'version':1,'created':11}],[605~,"
		"{'type':'put','key':'t/x/1'" } } },
	{ "resume point behind what was told", "watches",
	    { { "[148~,{'type':'put','key':'t/a','value':'v2','revision':12,"
		"'version':2,'created':11}]]",
		"[148~,{'type':'closing','resume':12}]]" } } },
	{ "resume point before what was told", "watches",
	    { { "'version':2,'created':11}]]}",
		"'version':2,'created':11}],[149~,{'type':'overflow',"
		"'resume':11}]]}" } } },
	{ "stream that ends in a revision", "watches",
	    { { "[608~,{'type':'put','key':'t/x/2','value':'15#4',"
		"'revision':20,'version':2,'created':19}],[608~,"
		"{'type':'progress','revision':24}]",
		"[608~,{'type':'put','key':'t/x/2','value':'15#4',"
		"'revision':20,'version':2,'created':19,'more':true}]" } } },
	{ "state without a key", "watches",
	    { { "[416~,{'type':'put','key':'t/x/2','value':'10#2',"
		"'revision':19,'version':1,'created':19}],",
		"" } } },
	{ "state of another revision", "watches",
	    { { "{'type':'synced','revision':19}",
		"{'type':'synced','revision':18}" } } },
	{ "two nodes that tell differently", "changes",
	    { { "[148~,{'type':'put','key':'t/a','value':'v2'",
		"[148~,{'type':'put','key':'t/a','value':'v9'" } } },
	{ "version that is skipped", "changes",
	    { { "'value':'2','revision':16,'version':2",
		"'value':'2','revision':16,'version':3" } } },
	{ "delete of nothing", "changes",
	    { { LAST_LINE, "[930~,{'type':'delete','key':'t/"
			   "b','revision':29}]," LAST_LINE } } },
	{ "two holders, by what the first one proves", "locks",
	    { { "'lease':'L2','rev':26", "'lease':'L2','rev':24" } } },
	{ "two holders with one fence", "locks",
	    { { "'lease':'L2','rev':26", "'lease':'L2','rev':23" } } },
	{ "lock that was taken over while it lived", "locks",
	    { { "'key':'t/k','lease':'L1','call':600~,'ret':610~,"
		"'status':'ok'",
		"'key':'t/k','lease':'L1','call':600~,'ret':610~,"
		"'status':'fail'" } } },
	{ "holder that was another", "locks",
	    { { "'out':'h1','fence':23", "'out':'h0','fence':23" } } },
	{ "lock shown free while it is held", "locks",
	    { { "'ret':590~,'status':'ok','rev':24,'out':'h1','fence':23",
		  "'ret':590~,'status':'ok','rev':24,'out':null,'fence':0" },
		{ "'op':'unlock','key':'t/k'", "'op':'renew','key':'t/k'" } } },
	{ "fence of another write", "locks",
	    { { "'lease':'L2','rev':26", "'lease':'L2','rev':27" } } },
	{ "early expiry", "ttl",
	    { { "[757~,{'type':'expire'", "[735~,{'type':'expire'" } } },
	{ "early expiry, but for a touch", "ttl",
	    { { "[757~,{'type':'expire'", "[745~,{'type':'expire'" } } },
	{ "touch of what was not", "reads",
	    { { "'rev':27,'done':true,'version':1,'created':27}",
		"'rev':27,'done':true,'version':2,'created':27}" } } },
	{ "touch of what was gone", "reads",
	    { { "'rev':28,'done':false", "'rev':28,'done':true,"
					 "'version':1,'created':27" } } },
	{ "early expiry, seen by a read", "ttl",
	    { { "'call':760~,'ret':770~", "'call':706~,'ret':710~" } } },
	{ "expiry of what has no lifetime", "ttl",
	    { { "'value':'e1','ttl':1", "'value':'e1'" },
		{ "'ret':658~,'status':'ok'",
		    "'ret':658~,'status':'fail'" } } },
	{ "lease that is gone early", "ttl",
	    { { "'call':660~,'ret':670~,'status':'ok','done':true",
		"'call':660~,'ret':670~,'status':'ok','done':false" } } },
};

START_TEST(a_planted_defect_is_found)
{
	const struct defect *defect = &defects[_i];
	struct buf report = { 0 };
	char line[64];

	snprintf(line, sizeof(line), "FAIL %s: ", defect->found_by);
	ck_assert_msg(judge(defect->edits, "", &report) == CHECK_VIOLATION,
	    "%s: %s", defect->name, report.data);
	ck_assert_msg(strstr((char *)report.data, line) != NULL, "%s: %s",
	    defect->name, report.data);
	buf_release(&report);
}
END_TEST

/* ---- Little that was tested ---- */

struct vacuum {
	const char *name;
	enum check_verdict expected;
	struct edit edits[EDITS_MAX];
	const char *faults;
};

#define FAULTS_TOGETHER                                                        \
	"{'kind':'pause','begin':100~,'end':200~}\n"                           \
	"{'kind':'kill','begin':150~,'end':300~}\n"

static const struct vacuum vacua[] = {
	{ "too few operations", CHECK_VACUOUS,
	    { { "'ok_min':30", "'ok_min':300" } }, "" },
	{ "too few unknown outcomes", CHECK_VACUOUS,
	    { { "'ok_min':30", "'info_min':2" } }, "" },
	{ "too few of a kind", CHECK_VACUOUS,
	    { { "'ok_min':30", "'kinds_min':{'put':1,'unlock':2}" } }, "" },
	{ "enough of each kind", CHECK_GOOD,
	    { { "'ok_min':30", "'kinds_min':{'put':3,'cas':1,'unlock':1}" } },
	    "" },
	{ "too few that expired", CHECK_VACUOUS,
	    { { "'ok_min':30", "'expired_min':2" } }, "" },
	{ "no end", CHECK_VACUOUS, { { "{'end':true,'rev':30}\n", "" } }, "" },
	{ "a line that is cut", CHECK_VACUOUS, { { ",'rev':30}\n", "" } }, "" },
	{ "no final reads", CHECK_VACUOUS, { { "'final':true,", "" } }, "" },
	{ "final reads of some", CHECK_VACUOUS,
	    { { "'prefix':'t/','final'",
		  "'prefix':'t/','after':'t/a','final'" },
		{ "'out':[['t/a','v2',12,2,11],", "'out':[" } },
	    "" },
	{ "a page, and what is behind it", CHECK_VACUOUS,
	    { { "'rev':28,'more':false", "'rev':28,'more':true" },
		{ ",['t/x/2','15#4',20,2,19]]}\n{'client':7",
		    "]}\n{'client':7" },
		{ "'bank_sum':20", "'bank_sum':0" } },
	    "" },
	{ "no stream of all", CHECK_VACUOUS,
	    { { "[940~,{'type':'progress','revision':30}]",
		"[940~,"
		"{'type':'progress','revision':29}]" } },
	    "" },
	{ "no faults", CHECK_VACUOUS,
	    { { "'ok_min':30", "'intervals_min':1" } }, "" },
	{ "faults", CHECK_GOOD,
	    { { "'ok_min':30", "'intervals_min':2,'together_min':2" } },
	    FAULTS_TOGETHER },
	{ "three together of two", CHECK_VACUOUS,
	    { { "'ok_min':30", "'together_min':3" } },
	    FAULTS_TOGETHER "{'kind':'cut','begin':201~,'end':400~}\n" },
	{ "three together", CHECK_GOOD,
	    { { "'ok_min':30", "'together_min':3" } },
	    FAULTS_TOGETHER "{'kind':'cut','begin':200~,'end':400~}\n" },
	{ "a fault without traffic", CHECK_VACUOUS, { { NULL, NULL } },
	    "{'kind':'pause','begin':850~,'end':860~}\n" },
	{ "a fault that does not end", CHECK_VACUOUS, { { NULL, NULL } },
	    "{'kind':'pause','begin':150~}\n" },
};

START_TEST(what_tested_little_is_vacuous)
{
	const struct vacuum *vacuum = &vacua[_i];
	struct buf report = { 0 };

	ck_assert_msg(
	    judge(vacuum->edits, vacuum->faults, &report) == vacuum->expected,
	    "%s: %s", vacuum->name, report.data);
	buf_release(&report);
}
END_TEST

START_TEST(what_the_search_gave_up_is_told)
{
	static const struct check_options options = { .steps_max = 3 };
	const struct edit none[] = { { NULL, NULL } };
	struct buf history = { 0 };
	struct buf report = { 0 };

	make_history(&history, none);
	ck_assert_int_eq(check_history(buf_slice(&history), slice_of(NULL, 0),
			     &options, &report),
	    CHECK_VACUOUS);
	buf_append(&report, "", 1);
	ck_assert_ptr_nonnull(
	    strstr((char *)report.data, "undecided: t/a, with"));
	buf_release(&history);
	buf_release(&report);
}
END_TEST

Suite *
check_history_suite(void)
{
	Suite *suite = suite_create("check_history");
	TCase *tcase = tcase_create("check_history");

	tcase_add_test(tcase, a_good_history_passes);
	tcase_add_loop_test(
	    tcase, a_planted_defect_is_found, 0, ARRAY_COUNT(defects));
	tcase_add_loop_test(
	    tcase, what_tested_little_is_vacuous, 0, ARRAY_COUNT(vacua));
	tcase_add_test(tcase, what_the_search_gave_up_is_told);
	suite_add_tcase(suite, tcase);
	return suite;
}

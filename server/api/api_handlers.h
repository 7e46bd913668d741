#ifndef API_API_HANDLERS_H
#define API_API_HANDLERS_H

/*
 * What the rows of api_routes.c call: each answers the call, or sees to it that
 * it is answered later.
 */

struct api_call;

void api_kv_get(struct api_call *call);
void api_kv_put(struct api_call *call);
void api_kv_delete(struct api_call *call);
void api_kv_post(struct api_call *call);
void api_leases_get(struct api_call *call);
void api_leases_post(struct api_call *call);
void api_lease_get(struct api_call *call);
void api_lease_post(struct api_call *call);
void api_lease_delete(struct api_call *call);
void api_lock_get(struct api_call *call);
void api_lock_put(struct api_call *call);
void api_lock_delete(struct api_call *call);
void api_list_get(struct api_call *call);
void api_list_delete(struct api_call *call);
void api_transaction_post(struct api_call *call);
void api_export_get(struct api_call *call);
void api_import_post(struct api_call *call);
void api_cluster_get(struct api_call *call);
void api_members_post(struct api_call *call);
void api_member_put(struct api_call *call);
void api_member_delete(struct api_call *call);
void api_replace_post(struct api_call *call);
void api_leader_post(struct api_call *call);
void api_watch_get(struct api_call *call);
void api_watch_key_get(struct api_call *call);
void api_livez_get(struct api_call *call);
void api_readyz_get(struct api_call *call);
void api_leader_get(struct api_call *call);
void api_metrics_get(struct api_call *call);
void api_root_get(struct api_call *call);

#endif

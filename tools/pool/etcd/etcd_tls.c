/* SPDX-License-Identifier: MIT */
/* See etcd_tls.h. */
#include "etcd_tls.h"

#include <errno.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "xc_text.h"

/* What to do about a certificate of etcd's that was not accepted. */
static const char *advise_verification(long result)
{
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "its certificate has expired, or the clock here is wrong";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "its certificate is not valid yet, or the clock here is wrong";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "its certificate is signed by somebody else than cacert";
    default:
        return "its certificate is not accepted";
    }
}

/* What is wrong on our side, or theirs, in a few words; NULL: no matter of TLS. */
static const char *advise(const struct etcd_curl *lib, CURL *curl, CURLcode code, const char *said)
{
    long result = 0;

    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        if (strstr(said, "subject name")) /* libcurl itself looks at it */
            return "its certificate is for another name: ask it by a name that the certificate has";
        (void)lib->easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &result);
        return advise_verification(result);
    case CURLE_SSL_CACERT_BADFILE:
        return "cacert cannot be read, or has no certificate in it";
    case CURLE_SSL_CERTPROBLEM:
        return "cert or key cannot be read, or they do not belong together";
    default:
        break;
    }
    /* Only the other side sends alerts: in TLS 1.3 when we think that we are connected. */
    if (strstr(said, " alert ") && !strstr(said, "protocol version"))
        return "it does not accept our certificate (cert and key)";
    if (strstr(said, "wrong version number") || strstr(said, "packet length too long"))
        return "it does not speak TLS: http:// in the place of https://?";
    if (code == CURLE_SSL_CONNECT_ERROR) /* so does etcd without TLS: it hangs up */
        return "no TLS comes about with it: http:// in the place of https://?";
    return NULL;
}

bool etcd_tls_explain(const struct etcd_curl *lib, CURL *curl, const struct store_config *config,
                      CURLcode code, const char *said, struct etcd_reply *reply)
{
    const char *what = advise(lib, curl, code, said);

    if (!what)
        return false;
    reply->got = ETCD_NOT_SENT; /* the other side hears nothing before TLS is there */
    reply->err = EACCES;
    reply->lasting = true;
    (void)xc_text_print(reply->why, sizeof(reply->why), "%s (%s; [etcd] in %s)", what, said,
                        config->path ? config->path : "pool.conf");
    return true;
}

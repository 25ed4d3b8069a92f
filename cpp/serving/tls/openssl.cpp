// libmaas_tls: TLS 1.2 and 1.3 for the server, by OpenSSL.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <new>
#include <vector>

#include "serving/tls_api.h"

namespace maas::serving {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, Deleter<Free>>;

using CtxPtr = Owned<SSL_CTX, SSL_CTX_free>;
using SslPtr = Owned<SSL, SSL_free>;
using BioPtr = Owned<BIO, BIO_free>;
using X509Ptr = Owned<X509, X509_free>;
using KeyPtr = Owned<EVP_PKEY, EVP_PKEY_free>;
using StoreCtxPtr = Owned<X509_STORE_CTX, X509_STORE_CTX_free>;

void free_certificates(STACK_OF(X509) * list) { sk_X509_pop_free(list, X509_free); }
void free_infos(STACK_OF(X509_INFO) * list) { sk_X509_INFO_pop_free(list, X509_INFO_free); }
using CertificatesPtr = Owned<STACK_OF(X509), free_certificates>;
using InfosPtr = Owned<STACK_OF(X509_INFO), free_infos>;

// ---- the socket as OpenSSL sees it. Its own would raise SIGPIPE when the client has gone.

int socket_of(BIO* b) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(b))); }

int bio_write(BIO* b, const char* data, int size) {
  BIO_clear_retry_flags(b);
  const ssize_t n = send(socket_of(b), data, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(b);
  return static_cast<int>(n);
}

int bio_read(BIO* b, char* data, int size) {
  BIO_clear_retry_flags(b);
  const ssize_t n = recv(socket_of(b), data, static_cast<size_t>(size), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(b);
  return static_cast<int>(n);
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int bio_create(BIO* b) {
  BIO_set_init(b, 1);
  return 1;
}

const BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "maas socket");
    if (m == nullptr) throw std::bad_alloc();
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_ctrl(m, bio_control);
    BIO_meth_set_create(m, bio_create);
    return m;
  }();
  return method;
}

// ---- one connection

class OpenSslStream final : public TlsStream {
 public:
  OpenSslStream(SSL_CTX* context, int socket) : ssl_(SSL_new(context)) {
    BIO* bio = BIO_new(socket_method());
    if (!ssl_ || bio == nullptr) {
      BIO_free(bio);
      throw std::bad_alloc();
    }
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket)));
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_accept_state(ssl_.get());
  }
  TlsResult handshake() override {
    ERR_clear_error();
    return result(SSL_do_handshake(ssl_.get()));
  }
  TlsResult read(char* data, size_t size, size_t& got) override {
    ERR_clear_error();
    return result(SSL_read_ex(ssl_.get(), data, size, &got));
  }
  TlsResult write(const char* data, size_t size, size_t& sent) override {
    ERR_clear_error();
    return result(SSL_write_ex(ssl_.get(), data, size, &sent));
  }
  void say_end() noexcept override {
    // After an error, or before the handshake is done, OpenSSL must not be asked for this.
    if (dead_ || !SSL_is_init_finished(ssl_.get())) return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }

 private:
  TlsResult result(int status) {
    if (status > 0) return TlsResult::ok;
    switch (SSL_get_error(ssl_.get(), status)) {
      case SSL_ERROR_WANT_READ:
        return TlsResult::want_read;
      case SSL_ERROR_WANT_WRITE:
        return TlsResult::want_write;
      case SSL_ERROR_ZERO_RETURN:
        return TlsResult::closed;
      default:
        dead_ = true;
        ERR_clear_error();
        return TlsResult::failed;
    }
  }
  SslPtr ssl_;
  bool dead_ = false;
};

// ---- certificates

BioPtr memory(std::string_view text) {
  BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) throw std::bad_alloc();
  return bio;
}

// OpenSSL would ask the terminal.
int no_password(char*, int, int, void*) { return -1; }

// The certificates of a text, in order; empty if there are none or one is broken.
std::vector<X509Ptr> certificates_of(std::string_view pem) {
  std::vector<X509Ptr> out;
  const BioPtr bio = memory(pem);
  while (X509* c = PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)) out.emplace_back(c);
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) out.clear();
  ERR_clear_error();
  return out;
}

// "" or what is wrong.
std::string use_certificate(SSL_CTX* context, const TlsPem& pem, std::string& warning) {
  std::vector<X509Ptr> chain = certificates_of(pem.cert);
  if (chain.empty()) return "the file of the certificate must hold PEM certificates";
  const BioPtr bio = memory(pem.key);
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (!key) return "the file of the key must hold a PEM private key without a password";
  if (SSL_CTX_use_certificate(context, chain[0].get()) != 1)
    return "the certificate is refused (is its key shorter than 2048 bits, or its signature SHA-1?)";
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return "the key is not that of the certificate";
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return "a certificate of the chain is refused";
  }
  if (X509_cmp_current_time(X509_get0_notAfter(chain[0].get())) < 0) warning = "the certificate has expired";
  if (X509_cmp_current_time(X509_get0_notBefore(chain[0].get())) > 0) warning = "the certificate is not valid yet";
  return "";
}

std::string use_authorities(SSL_CTX* context, const TlsPem& pem) {
  const BioPtr bio = memory(pem.client_ca);
  const InfosPtr infos(PEM_X509_INFO_read_bio(bio.get(), nullptr, no_password, nullptr));
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  int certificates = 0, lists = 0;
  for (int i = 0; infos && i < sk_X509_INFO_num(infos.get()); ++i) {
    const X509_INFO* info = sk_X509_INFO_value(infos.get(), i);
    if (info->x509 != nullptr) {
      ++certificates;
      if (X509_STORE_add_cert(store, info->x509) != 1 || SSL_CTX_add_client_CA(context, info->x509) != 1)
        return "a certificate of the client authorities is refused";
    }
    if (info->crl != nullptr) {
      ++lists;
      if (X509_STORE_add_crl(store, info->crl) != 1) return "a revocation list is refused";
    }
  }
  if (certificates == 0) return "the file of client authorities must hold PEM certificates";
  // With one list every authority needs one: of the others nobody could tell whom they have revoked.
  if (lists != 0) X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_verify_depth(context, 8);
  // A resumed session would carry a certificate past its revocation or expiry.
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  return "";
}

// HTTP/1.1 is all that is spoken here. A client that names protocols but not this one means another server.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned in_size,
                    void*) {
  static const unsigned char kHttp[] = "\x08http/1.1";
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, kHttp, sizeof kHttp - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = found;
  return SSL_TLSEXT_ERR_OK;
}

class OpenSslContext final : public TlsContext {
 public:
  OpenSslContext() : context_(SSL_CTX_new(TLS_server_method())) {
    if (!context_) throw std::bad_alloc();
  }
  std::string configure(const TlsPem& pem, std::string& warning) {
    SSL_CTX* c = context_.get();
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_security_level(c, 2);
    // Of TLS 1.2 only what keeps past traffic secret when the key is lost, and authenticates as it encrypts.
    if (SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) return "OpenSSL has no usable ciphers";
    // Groups of numbers modulo a large prime would cost the server far more than the client.
    if (SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384") != 1) return "OpenSSL has no usable groups";
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    // A message that holds no data, such as a KeyUpdate, ends a read: a flood of them must not keep the thread.
    SSL_CTX_clear_mode(c, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(c, reinterpret_cast<const unsigned char*>("maas"), 4);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, nullptr);
    std::string problem = use_certificate(c, pem, warning);
    if (problem.empty() && !pem.client_ca.empty()) problem = use_authorities(c, pem);
    return problem;
  }
  std::unique_ptr<TlsStream> accept(int socket) override {
    return std::make_unique<OpenSslStream>(context_.get(), socket);
  }
  bool trusts(std::string_view pem) override {
    std::vector<X509Ptr> given = certificates_of(pem);
    if (given.empty()) return false;
    const CertificatesPtr others(sk_X509_new_null());
    for (size_t i = 1; i < given.size(); ++i) sk_X509_push(others.get(), given[i].release());
    const StoreCtxPtr check(X509_STORE_CTX_new());
    if (!others || !check ||
        X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context_.get()), given[0].get(), others.get()) != 1)
      throw std::bad_alloc();
    X509_STORE_CTX_set_default(check.get(), "ssl_client");
    const bool valid = X509_verify_cert(check.get()) == 1;
    ERR_clear_error();
    return valid;
  }

 private:
  CtxPtr context_;
};

std::unique_ptr<TlsContext> make_context(const TlsPem& pem, std::string& problem, std::string& warning) {
  ERR_clear_error();
  auto made = std::make_unique<OpenSslContext>();
  problem = made->configure(pem, warning);
  ERR_clear_error();
  if (!problem.empty()) return nullptr;
  return made;
}

std::string version_text() { return OpenSSL_version(OPENSSL_VERSION); }

constexpr TlsApi kTlsApi = {MAAS_VERSION, version_text, make_context};

}  // namespace
}  // namespace maas::serving

extern "C" __attribute__((visibility("default"))) const maas::serving::TlsApi* maas_tls_api() {
  return &maas::serving::kTlsApi;
}

// Names of Asio that the HTTP files share. One io_context per I/O thread, so the plain executor without a strand is
// right.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "serving/metrics.h"

namespace maas::serving {

namespace asio = boost::asio;
using asio::ip::tcp;
using Ec = boost::system::error_code;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

}  // namespace maas::serving

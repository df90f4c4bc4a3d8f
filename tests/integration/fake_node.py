"""A node that misbehaves on purpose: answers that no healthy slipstreamd gives."""

import concurrent.futures
import threading

import grpc

KV = "/slipstream.v1.KvService/"
ADMIN = "/slipstream.v1.AdminService/"


class FakeNode(grpc.GenericRpcHandler):
  """Answers each unary call by the function that `answers` has for its full name.

  The function gets the encoded request and the context, and returns the encoded response.
  """

  def __init__(self, answers: dict):
    self._answers = answers
    self._stopping = threading.Event()
    self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4))
    self._server.add_generic_rpc_handlers((self,))
    self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
    self._server.start()

  def service(self, handler_call_details):
    answer = self._answers.get(handler_call_details.method)
    return grpc.unary_unary_rpc_method_handler(answer) if answer else None

  def silence(self, _request: bytes, _context) -> bytes:
    """An answer that comes only when the test is over."""
    self._stopping.wait()
    return b""

  def add(self, method: str, answer):
    self._answers[method] = answer

  def stop(self):
    self._stopping.set()
    self._server.stop(None).wait()


def refuse(code: grpc.StatusCode, message: str, reason: str = ""):
  """Returns an answer that is an error."""
  def answer(_request: bytes, context) -> bytes:
    if reason:
      context.set_trailing_metadata((("slipstream-reason", reason),))
    context.abort(code, message)
    return b""
  return answer

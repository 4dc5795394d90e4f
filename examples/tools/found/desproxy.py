# Three clients of desproxy by a proxy that is a few lines long; the first one's server does not read.
import socket,subprocess,threading,time
proxy=socket.create_server(("127.0.0.1",7971)); accepted=[]
def serve():
    while True:
        c,_=proxy.accept(); c.recv(1000); c.sendall(b"HTTP/1.0 200 OK\r\n\r\n"); accepted.append(c)
threading.Thread(target=serve,daemon=True).start()
p=subprocess.Popen(["desproxy","127.0.0.1","1","127.0.0.1","7971","7972"],stdout=subprocess.DEVNULL)
time.sleep(1)
def client():
    n=len(accepted); c=socket.create_connection(("127.0.0.1",7972)); t=time.time()
    while len(accepted)==n and time.time()-t<3: time.sleep(.01)
    time.sleep(.2); return c,accepted[-1]
a,sa=client(); b,sb=client()
b.sendall(b"ping"); sb.settimeout(5); print("before: the second connection's server gets",sb.recv(10))
a.setblocking(False); n=0; t=time.time()
while time.time()-t<2:
    try: n+=a.send(b"x"*65536)
    except BlockingIOError: time.sleep(.01)
print("the first client has written",n,"bytes, which its server does not read")
b.sendall(b"ping")
try: print("after: the second connection's server gets",sb.recv(10))
except TimeoutError: print("after: the second connection's server gets nothing for 5 s")
print("desproxy waits in",open(f"/proc/{p.pid}/wchan").read())
p.kill()

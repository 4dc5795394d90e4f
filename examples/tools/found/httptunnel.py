# 1 MiB each way at the same time through httptunnel.
import socket,subprocess,threading,time
s=subprocess.Popen(["hts","-w","-F","127.0.0.1:7981","7982"]); c=subprocess.Popen(["htc","-w","-F","7983","127.0.0.1:7982"]); time.sleep(1)
l=socket.create_server(("127.0.0.1",7981)); a=socket.create_connection(("127.0.0.1",7983)); b,_=l.accept()
N=1<<20; data=bytes(range(256))*(N//256); said={}
def send(name,k):
    try: k.sendall(data); said[name+" wrote"]=N
    except OSError as e: said[name+" wrote"]=str(e)
def recv(name,k):
    got=b""
    try:
        while len(got)<N:
            x=k.recv(65536)
            if not x: got+=b"(end of stream)"; break
            got+=x
        said[name+" read"]=f"{len(got)} bytes, {'right' if got==data else 'NOT what was sent'}"
    except OSError as e: said[name+" read"]=f"{len(got)} bytes, then {e}"
for k in (a,b): k.settimeout(15)
t=[threading.Thread(target=f,args=x) for x in (("client",a),("server",b)) for f in (send,recv)]
[x.start() for x in t]; [x.join(40) for x in t]; print(said)
s.kill(); c.kill()

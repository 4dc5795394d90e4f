# 256 KiB each way at the same time: the client and the server write all before they read.
import socket,subprocess,threading,time
p=subprocess.Popen(["ncat","-l","127.0.0.1","8011","--keep-open","--exec","/usr/bin/ncat 127.0.0.1 8012"])
time.sleep(1); l=socket.create_server(("127.0.0.1",8012))
for N in (1<<16,1<<18,1<<20,1<<23):
    a=socket.create_connection(("127.0.0.1",8011)); b,_=l.accept(); said={}; data=bytes(range(256))*(N//256)
    def send(name,k):
        try: k.sendall(data); said[name+" wrote"]="all"
        except OSError as e: said[name+" wrote"]=str(e)
    def recv(name,k):
        got=b""
        try:
            while len(got)<N:
                x=k.recv(65536)
                if not x: break
                got+=x
            said[name+" read"]="all, right" if got==data else f"{len(got)} bytes, WRONG"
        except OSError as e: said[name+" read"]=f"{len(got)} bytes, then {e}"
    for k in (a,b): k.settimeout(8)
    t=[threading.Thread(target=f,args=x) for x in (("client",a),("server",b)) for f in (send,recv)]
    [x.start() for x in t]; [x.join(30) for x in t]; print(N,"bytes each way:",said); a.close(); b.close()
p.terminate()

# A client of v2ray (dokodemo-door to freedom) says 80 KiB, which the server reads, and resets its connection.
import socket,subprocess,time,struct
config='{"log":{"loglevel":"warning"},"inbounds":[{"listen":"127.0.0.1","port":8063,"protocol":"dokodemo-door","settings":{"address":"127.0.0.1","port":8061,"network":"tcp"}}],"outbounds":[{"protocol":"freedom"}]}'
import tempfile
path=tempfile.mkstemp(suffix=".json")[1]
open(path,"w").write(config)
p=subprocess.Popen(["v2ray","-config",path],stdout=subprocess.DEVNULL); time.sleep(3); l=socket.create_server(("127.0.0.1",8061))
for said in (1,81920,81920,81920):
    c=socket.create_connection(("127.0.0.1",8063)); s,_=l.accept(); c.sendall(b"x"*said); n=0
    while n<said: n+=len(s.recv(65536))
    c.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack("ii",1,0)); c.close(); t=time.time(); s.settimeout(25)
    try: print("said",said,"bytes and reset: after",round(time.time()-t,2),"s the server gets",s.recv(10),"; at",round(time.time()-t,2),"s")
    except OSError as e: print("said",said,"bytes and reset: after",round(time.time()-t,2),"s",e)
p.kill()

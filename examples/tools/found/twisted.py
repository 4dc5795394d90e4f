# Both sides write through Twisted's port forwarder, nobody reads, then the client resets its connection.
import socket,subprocess,time,struct,tempfile
d=tempfile.mkdtemp()
p=subprocess.Popen(["twistd3","--nodaemon","--pidfile",d+"/pid","--logfile",d+"/log","portforward","-p","tcp:8073:interface=127.0.0.1","-h","127.0.0.1","-d","8071"])
l=socket.create_server(("127.0.0.1",8071))
for i in range(5):
    while True:
        try: c=socket.create_connection(("127.0.0.1",8073)); break
        except OSError: time.sleep(.2)
    s,_=l.accept(); c.setblocking(False); s.setblocking(False)
    t=time.time()
    while time.time()-t<.5:
        for k in (c,s):
            try: k.send(b"x"*65536)
            except BlockingIOError: pass
    c.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack("ii",1,0)); c.close(); n=0; s.settimeout(8)
    try:
        while True:
            x=s.recv(65536); n+=len(x)
            if not x: print("the server reads",n,"bytes and the end of the stream"); break
    except TimeoutError: print("the server reads",n,"bytes, and then nothing for 8 s, and no end")
    except OSError as e: print("the server reads",n,"bytes and",e)
    s.close()
p.kill()

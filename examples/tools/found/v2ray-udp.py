# Of 64 SOCKS5 associations at once, who gets the answer to what another one has said?
import socket,subprocess,time,json,tempfile,struct
P,Q=8071,8072
cfg={"log":{"loglevel":"none"},"inbounds":[{"listen":"127.0.0.1","port":P,"protocol":"socks","settings":{"auth":"noauth","udp":True,"ip":"127.0.0.1"}}],"outbounds":[{"protocol":"freedom"}]}
f=tempfile.NamedTemporaryFile("w",suffix=".json"); json.dump(cfg,f); f.flush()
p=subprocess.Popen(["v2ray","-config",f.name],stdout=subprocess.DEVNULL); 
for i in range(100):
    try: socket.create_connection(("127.0.0.1",P)).close(); break
    except OSError: time.sleep(.1)
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("127.0.0.1",Q))
s.settimeout(.5)
mixed=lost=dup=0
for rnd in range(60):
    C=[]
    for i in range(64):
        t=socket.create_connection(("127.0.0.1",P)); t.sendall(b"\5\1\0"); t.recv(2)
        u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); u.bind(("127.0.0.1",0)); u.settimeout(.5)
        t.sendall(b"\5\3\0\1"+socket.inet_aton("127.0.0.1")+struct.pack("!H",u.getsockname()[1])); r=t.recv(100)
        C.append((t,u,("127.0.0.1",struct.unpack("!H",r[-2:])[0])))
    for i,(t,u,r) in enumerate(C): u.sendto(b"\0\0\0\1"+socket.inet_aton("127.0.0.1")+struct.pack("!H",Q)+b"word %d of %d"%(i,rnd),r)
    got=[]
    try:
        while len(got)<64: got.append(s.recvfrom(2000))
    except TimeoutError: pass
    src=[a for d,a in got]; dup+=len(src)-len(set(src))
    for d,a in got: s.sendto(b"server "+d,a)
    for i,(t,u,r) in enumerate(C):
        try:
            d=u.recv(2000)[10:]
            if d!=b"server word %d of %d"%(i,rnd): mixed+=1; print(i,d) if mixed<4 else None
        except TimeoutError: lost+=1
    for t,u,r in C: t.close(); u.close()
print("of 3840: mixed",mixed,"lost",lost,"the same source for two",dup); p.kill()

# A master gets SIGUSR2, 30 times, while clients come: is the listening socket handed over, and who is lost?
import multiprocessing as mp,os,signal,socket,subprocess,tempfile,time
P,Q=8061,8062; C=tempfile.mkdtemp()+"/conf"; l=socket.create_server(("127.0.0.1",Q),backlog=1000)
def serve():
    while True:
        c,_=l.accept()
        try: c.sendall(c.recv(16)); c.close()
        except OSError: pass
def listener(): return {x.split()[9] for f in ("/proc/net/tcp","/proc/net/tcp6") for x in open(f) if f":{P:04X}" in x.split()[1] and x.split()[3]=="0A"}
def come(host,end,result):
    lost=good=0
    while time.time()<end:
        some=[]
        try:
            for i in range(16): some.append(socket.create_connection((host,P),9))
            for c in some: c.sendall(b"x"*16)
        except OSError: lost+=1
        for c in some:
            try: good+=1 if c.recv(16) else 0/0
            except (OSError,ZeroDivisionError): lost+=1
            c.close()
    result.put((lost,good))
for i in range(4): mp.Process(target=serve,daemon=True).start()
for bind,host in ("127.0.0.1","127.0.0.1"),("ipv6@[::1]","::1"),("ipv6@[::1]","::1 v6only"):
    host,_,option=host.partition(" ")
    open(C,"w").write(f"listen x\nmode tcp\nbind {bind}:{P} {option}\nserver s 127.0.0.1:{Q}\ntimeout connect 9s\ntimeout client 9s\ntimeout server 9s\n")
    p=subprocess.Popen(["haproxy","-W","-f",C],stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL); time.sleep(2)
    before=listener(); p.send_signal(signal.SIGUSR2); time.sleep(2); same=listener()==before; q=mp.Queue()
    for i in range(2): mp.Process(target=come,args=(host,time.time()+31,q),daemon=True).start()
    for i in range(30): p.send_signal(signal.SIGUSR2); time.sleep(1)
    r=[q.get() for i in range(2)]; p.terminate(); p.wait()
    print("bind",bind,option,"- the same socket listens after a reload:",same,"; clients lost:",sum(x[0] for x in r),"served:",sum(x[1] for x in r))

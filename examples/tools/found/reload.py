# Clients come one after the other while the tool reloads five times: which of them are refused, or let in and reset?
import socket,subprocess,sys,tempfile,threading,time,signal
d=tempfile.mkdtemp(); subprocess.run(["chmod","777",d]); P,Q=8041,8042; C=d+"/conf"
tools={"stunnel":(["stunnel",C],signal.SIGHUP,f"foreground=yes\npid=\nsyslog=no\ndebug=err\n[x]\nclient=yes\nciphers=PSK\nPSKsecrets={d}/psk\naccept=127.0.0.1:{P}\nconnect=127.0.0.1:{Q}\n"),
 "squid":(["squid","-N","-f",C],signal.SIGHUP,f"http_port 127.0.0.1:{P}\nhttp_access allow all\ncache deny all\naccess_log none\ncache_log {d}/log\npid_filename {d}/pid\ncoredump_dir {d}\nnetdb_filename none\npinger_enable off\nvisible_hostname x\n"),
 "tinyproxy":(["tinyproxy","-d","-c",C],signal.SIGUSR1,f"Listen 127.0.0.1\nPort {P}\nLogLevel Error\n"),
 "haproxy":(["haproxy","-W","-f",C],signal.SIGUSR2,f"listen x\nmode tcp\nbind 127.0.0.1:{P}\nserver s 127.0.0.1:{Q}\ntimeout connect 9s\ntimeout client 9s\ntimeout server 9s\n")}
argv,sig,conf=tools[sys.argv[1]]; open(C,"w").write(conf); open(d+"/psk","w").write("test:0123456789abcdef0123456789abcdef\n")
p=subprocess.Popen(argv,stderr=subprocess.DEVNULL,stdout=subprocess.DEVNULL); l=socket.create_server(("127.0.0.1",Q))
while True:
    try: socket.create_connection(("127.0.0.1",P)).close(); break
    except OSError: time.sleep(.1)
time.sleep(1); refused=reset=good=0; stop=False; last=time.time(); longest=0
def reload():
    global stop
    for i in range(5): p.send_signal(sig); time.sleep(1)
    stop=True
threading.Thread(target=reload).start()
while not stop:
    some=[]
    for i in range(20):
        try: some.append(socket.create_connection(("127.0.0.1",P),9)); last=time.time()
        except OSError: refused+=1; longest=max(longest,time.time()-last)
    time.sleep(.02)
    # They say nothing: whoever is let in is kept.
    for c in some:
        c.setblocking(False)
        try: c.recv(1); reset+=1
        except BlockingIOError: good+=1
        except OSError: reset+=1
        c.close()
print(sys.argv[1],"- clients refused:",refused,"for up to",round(longest*1000),"ms; let in, and reset or ended:",reset,"kept:",good); p.kill()
